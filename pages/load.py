"""Load tickets: bring in an export, see what would be left out, load it, and undo the last load."""

from workbench.ui import loading, nav, session, show

actor = session.actor()
place = nav.place("load")
show.head(place.title, place.purpose)

with show.errors():
    loading.now()
    loading.running(actor)
    if chosen := loading.choose(actor):
        loading.prepare(actor, chosen)
    loading.history(actor)
