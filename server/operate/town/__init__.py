"""What stands around the demo town, on this machine: a push service with the browsers behind it, and a gateway for
texts and calls. Stories and tests use them; nothing of it is loaded in production.
"""
