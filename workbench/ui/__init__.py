"""What pages and the app share: navigation, session, errors, charts, transcripts."""
