"""Words from a language model: what a person says, imagines and reads, never what there is.

asked       the `llm` object of a request
facts       what a model may be told, cleaned by `untrusted`
understand  free sentence -> query, filter, context, scenario, checked against the catalogue
ideal       history and moment -> a description that is encoded as one more input
rerank      finalists -> their order; only candidates can come out
explain     exact reasons -> one sentence, checked by `grounding`, else by `templates`
assistant   all of these within one budget, as events
model       prompt -> answer: cache, circuit breaker, counters, deadline
endpoint    the OpenAI-compatible HTTP call
"""
