"""What customers write in the sample tickets, by topic and language; `{order}`, `{amount}`, `{days}` are filled in."""

from __future__ import annotations

SUBJECTS: dict[str, dict[str, tuple[str, ...]]] = {
    "Delivery": {
        "en": ("Where is order {order}?", "Parcel {order} has not arrived", "Order {order} is {days} days late"),
        "de": ("Wo bleibt Bestellung {order}?", "Paket {order} ist noch nicht da"),
        "fr": ("Où est la commande {order} ?", "Colis {order} toujours pas reçu"),
        "es": ("¿Dónde está el pedido {order}?", "El paquete {order} no ha llegado"),
        "pt": ("Onde está a encomenda {order}?", "A encomenda {order} está atrasada"),
    },
    "Refunds": {
        "en": ("Refund for order {order}", "Still waiting for {amount} back", "Refund promised {days} days ago"),
        "de": ("Erstattung für Bestellung {order}", "Ich warte noch auf {amount}"),
        "fr": ("Remboursement de la commande {order}", "J'attends toujours mes {amount}"),
        "es": ("Reembolso del pedido {order}", "Sigo esperando {amount}"),
        "pt": ("Reembolso da encomenda {order}", "Ainda à espera de {amount}"),
    },
    "Billing": {
        "en": ("Charged {amount} twice", "Wrong amount on my invoice", "What is this charge of {amount}?"),
        "de": ("{amount} doppelt abgebucht", "Rechnung stimmt nicht"),
        "fr": ("{amount} débités deux fois", "Erreur sur ma facture"),
        "es": ("Me han cobrado {amount} dos veces", "Factura incorrecta"),
        "pt": ("{amount} cobrados em dobro", "Valor errado na fatura"),
    },
    "Sign-in": {
        "en": ("Cannot sign in", "Code for signing in never comes", "Locked out of my account"),
        "de": ("Anmeldung geht nicht", "Der Anmeldecode kommt nicht an"),
        "fr": ("Connexion impossible", "Je ne reçois pas le code"),
        "es": ("No puedo entrar en mi cuenta", "No llega el código"),
        "pt": ("Não consigo entrar na conta", "O código não chega"),
    },
    "Subscription": {
        "en": ("Please cancel my subscription", "Change to the yearly plan", "Renewed although I cancelled"),
        "de": ("Bitte Abo kündigen", "Wechsel in den Jahrestarif"),
        "fr": ("Résilier mon abonnement", "Passer à la formule annuelle"),
        "es": ("Cancelar mi suscripción", "Cambiar al plan anual"),
        "pt": ("Cancelar a minha assinatura", "Mudar para o plano anual"),
    },
    "Damaged item": {
        "en": ("Order {order} arrived broken", "Cracked screen out of the box", "Parts missing in order {order}"),
        "de": ("Bestellung {order} kam beschädigt an", "Es fehlen Teile"),
        "fr": ("Commande {order} arrivée cassée", "Il manque des pièces"),
        "es": ("El pedido {order} llegó roto", "Faltan piezas"),
        "pt": ("A encomenda {order} chegou partida", "Faltam peças"),
    },
    "Setup": {
        "en": ("Lamp does not find the network", "How do I pair the speaker?", "Setup stops halfway"),
        "de": ("Lampe findet das WLAN nicht", "Wie kopple ich den Lautsprecher?"),
        "fr": ("La lampe ne trouve pas le réseau", "Comment associer l'enceinte ?"),
        "es": ("La lámpara no encuentra la red", "¿Cómo enlazo el altavoz?"),
        "pt": ("A lâmpada não encontra a rede", "Como emparelho a coluna?"),
    },
    "Returns": {
        "en": (
            "Return label for order {order}",
            "Can I return this after {days} days?",
            "Return {order} not booked in",
        ),
        "de": ("Rücksendeschein für {order}", "Rückgabe nach {days} Tagen möglich?"),
        "fr": ("Étiquette de retour pour {order}", "Retour possible après {days} jours ?"),
        "es": ("Etiqueta de devolución de {order}", "¿Puedo devolverlo tras {days} días?"),
        "pt": ("Etiqueta de devolução de {order}", "Posso devolver após {days} dias?"),
    },
    "App": {
        "en": ("App closes when I open it", "Nothing happens on the payment page", "App is slow since the update"),
        "de": ("App stürzt beim Start ab", "App seit dem Update langsam"),
        "fr": ("L'application se ferme toute seule", "Application lente depuis la mise à jour"),
        "es": ("La aplicación se cierra sola", "La aplicación va lenta"),
        "pt": ("A aplicação fecha sozinha", "Aplicação lenta desde a atualização"),
    },
    "Privacy": {
        "en": ("Please delete my data", "Stop these newsletters", "A copy of my data, please"),
        "de": ("Bitte meine Daten löschen", "Newsletter abbestellen"),
        "fr": ("Supprimez mes données", "Ne plus recevoir la lettre"),
        "es": ("Borren mis datos", "No quiero más boletines"),
        "pt": ("Apaguem os meus dados", "Não quero mais newsletters"),
    },
}

BODIES: dict[str, dict[str, tuple[str, ...]]] = {
    "Delivery": {
        "en": (
            "Tracking for order {order} has said 'on its way' for {days} days.",
            "The courier marked order {order} as delivered, but nobody was here and there is no card.",
        ),
        "de": ("Die Sendungsverfolgung zu {order} zeigt seit {days} Tagen nichts Neues.",),
        "fr": ("Le suivi de la commande {order} n'a pas bougé depuis {days} jours.",),
        "es": ("El seguimiento del pedido {order} no cambia desde hace {days} días.",),
        "pt": ("O rastreio da encomenda {order} não muda há {days} dias.",),
    },
    "Refunds": {
        "en": (
            "I sent order {order} back {days} days ago and {amount} has still not reached my account.",
            "Your colleague promised me {amount}. Nothing has come so far.",
        ),
        "de": ("Ich habe {order} vor {days} Tagen zurückgeschickt; {amount} fehlen noch immer.",),
        "fr": ("J'ai renvoyé {order} il y a {days} jours et je n'ai pas reçu les {amount}.",),
        "es": ("Devolví {order} hace {days} días y no he recibido los {amount}.",),
        "pt": ("Devolvi {order} há {days} dias e não recebi os {amount}.",),
    },
    "Billing": {
        "en": (
            "My bank shows {amount} two times on the same day for order {order}.",
            "The invoice for {order} lists {amount}, which is not what I agreed to at checkout.",
        ),
        "de": ("Meine Bank zeigt für {order} am selben Tag zweimal {amount}.",),
        "fr": ("Ma banque affiche deux fois {amount} le même jour pour {order}.",),
        "es": ("Mi banco muestra dos veces {amount} el mismo día por {order}.",),
        "pt": ("O meu banco mostra {amount} duas vezes no mesmo dia, por {order}.",),
    },
    "Sign-in": {
        "en": (
            "The page says my password is wrong, although I reset it {days} days ago.",
            "I ask for a code, wait, and none arrives. I looked in the spam folder as well.",
        ),
        "de": ("Die Seite sagt, mein Passwort sei falsch, obwohl ich es gerade geändert habe.",),
        "fr": ("La page dit que mon mot de passe est faux alors que je viens de le changer.",),
        "es": ("La página dice que mi contraseña es incorrecta, pero la acabo de cambiar.",),
        "pt": ("A página diz que a palavra-passe está errada, mas acabei de a mudar.",),
    },
    "Subscription": {
        "en": (
            "I cancelled {days} days before the renewal and was charged {amount} anyway.",
            "How much would I pay if I moved to the yearly plan in the middle of the month?",
        ),
        "de": ("Ich habe {days} Tage vorher gekündigt, trotzdem wurden {amount} abgebucht.",),
        "fr": ("J'ai résilié {days} jours avant et {amount} ont quand même été débités.",),
        "es": ("Cancelé {days} días antes y aun así me cobraron {amount}.",),
        "pt": ("Cancelei {days} dias antes e cobraram {amount} na mesma.",),
    },
    "Damaged item": {
        "en": (
            "The box of order {order} was dented and what is inside does not switch on.",
            "Two screws and the manual are missing from order {order}. Please send them.",
        ),
        "de": ("Der Karton von {order} war eingedrückt und das Gerät geht nicht an.",),
        "fr": ("Le carton de {order} était enfoncé et l'appareil ne s'allume pas.",),
        "es": ("La caja de {order} venía golpeada y el aparato no enciende.",),
        "pt": ("A caixa de {order} vinha amolgada e o aparelho não liga.",),
    },
    "Setup": {
        "en": (
            "It blinks blue as the leaflet says, yet my phone does not list it.",
            "At step three the setup stops with 'try again later'. I tried for {days} days.",
        ),
        "de": ("Es blinkt blau wie in der Anleitung, aber das Telefon findet es nicht.",),
        "fr": ("Le voyant clignote en bleu, mais le téléphone ne le trouve pas.",),
        "es": ("Parpadea en azul como dice el folleto, pero el teléfono no lo encuentra.",),
        "pt": ("Pisca a azul como diz o folheto, mas o telefone não o encontra.",),
    },
    "Returns": {
        "en": (
            "I would like to send order {order} back; the label in the parcel cannot be read.",
            "The return of {order} arrived at your warehouse {days} days ago and still says 'open'.",
        ),
        "de": ("Ich möchte {order} zurückschicken, aber der Schein im Paket ist unlesbar.",),
        "fr": ("Je veux renvoyer {order}, mais l'étiquette du colis est illisible.",),
        "es": ("Quiero devolver {order}, pero la etiqueta del paquete no se lee.",),
        "pt": ("Quero devolver {order}, mas a etiqueta do pacote está ilegível.",),
    },
    "App": {
        "en": (
            "Since the last update the app shows a white page and closes.",
            "I press 'pay' for order {order} and the button turns grey. Nothing else happens.",
        ),
        "de": ("Seit dem letzten Update zeigt die App eine weiße Seite und schließt sich.",),
        "fr": ("Depuis la mise à jour, l'application affiche une page blanche puis se ferme.",),
        "es": ("Desde la última actualización sale una página en blanco y se cierra.",),
        "pt": ("Desde a última atualização aparece uma página em branco e fecha.",),
    },
    "Privacy": {
        "en": (
            "Please delete everything you hold about me and confirm it in writing.",
            "I unsubscribed {days} days ago and still get a mail every morning.",
        ),
        "de": ("Bitte löschen Sie alle meine Daten und bestätigen Sie es schriftlich.",),
        "fr": ("Merci de supprimer toutes mes données et de le confirmer par écrit.",),
        "es": ("Borren todos mis datos, por favor, y confírmenlo por escrito.",),
        "pt": ("Apaguem todos os meus dados e confirmem por escrito, por favor.",),
    },
}

CLOSINGS: dict[str, tuple[str, ...]] = {
    "en": ("Thank you.", "Please look into it today.", "This is the second time I write.", "What can you do?"),
    "de": ("Vielen Dank.", "Bitte prüfen Sie das heute noch.", "Ich schreibe schon zum zweiten Mal."),
    "fr": ("Merci d'avance.", "Merci de vérifier aujourd'hui.", "C'est mon deuxième message."),
    "es": ("Gracias.", "Por favor, revísenlo hoy.", "Es la segunda vez que escribo."),
    "pt": ("Obrigado.", "Vejam isto hoje, por favor.", "É a segunda vez que escrevo."),
}
