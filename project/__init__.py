"""The wiring of Plumbline: settings, addresses, and the processes of a running site."""
