"""What stands on the pages: a file a panel, or the panels of a subject. Data in, components out."""
