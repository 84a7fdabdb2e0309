"""Evaluations: people with known bodies are fitted, and the errors are put into tables.

The people are those of EHF and of the open benchmark (:mod:`~smplifyx.evaluation.ehf_layout`,
:mod:`~smplifyx.evaluation.open_benchmark`), synthetic people (:mod:`~smplifyx.evaluation.trials`), real people seen
by several cameras (:mod:`~smplifyx.evaluation.view_scenes`), and people in motion
(:mod:`~smplifyx.evaluation.sequence_trials`). :class:`~smplifyx.evaluation.runner.Runner` fits them,
:mod:`~smplifyx.evaluation.metrics` and :mod:`~smplifyx.evaluation.scores` compare them with the truth.
"""
