"""The HTTP side of the screens: the server, what guards and answers each request, the query API."""
