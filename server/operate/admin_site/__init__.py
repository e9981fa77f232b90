"""The administrators' pages at `/admin/`: Django's own, behind our own door. What is done there is done by the verbs of
the apps, with their records; nothing is deleted, and nothing of a patient is shown."""
