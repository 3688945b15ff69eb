"""SitRepBench: what does a sentence of conflict reporting tell us?"""

__version__ = "0.1.0"
