"""Gatelens, the command: settings, the CLI and the supervisor of the processes.

Owns: reading settings (file, environment, flags) and handing each room its own piece; starting,
watching and stopping the roles; the demo. Refuses: to decode, store, compute, decide or draw
anything itself: that is what the rooms below it are for. Open `cli.py` first, then `supervisor.py`.
"""

__version__ = "0.1.0"
