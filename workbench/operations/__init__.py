"""Day-to-day operations: setting up, seeding, checking."""
