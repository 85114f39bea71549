"""The HTTP server: an OpenAI-compatible interface to one model, and a playground.

`create_app` in `app.py` makes the application, `serve.py` runs it. Needs the extra `serve`.
"""
