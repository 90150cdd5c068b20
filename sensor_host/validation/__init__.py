"""How well the core measures: public data with ground truth, the event models' fit, and everybody's own force plate.

Needs the extra ``validate`` (scipy, matplotlib). Nothing else of the host knows of it.
"""
