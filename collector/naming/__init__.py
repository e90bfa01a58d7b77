"""Names for requests: API, version, route, product, plan, consumer, outcome, client kind.

Naming order: what the gateway says > the catalog > its routes > automatic templating. This package
reads columns and answers columns; it opens no file and knows no wire format. Start in `naming.py`;
`templates.py` and `routes.py` make route templates, `outcome.py` and `clients.py` are tables.
"""

from collector.naming.naming import Naming

__all__ = ["Naming"]
