"""Stories across apps, the rules of the architecture, and how the suite is run (`python -m tests.run`)."""
