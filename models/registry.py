"""The architectures, by name. Values are import strings: nothing heavy loads until an architecture is named.

A user's own class is named the same way in a recipe, `architecture: mycompany.nets:Mine`; it is a subclass of
`Encoder` or gives the same outputs. `opinionwatch.pipeline.registry.resolve` turns a name into the class.
"""

ARCHITECTURES: dict[str, str] = {
    "encoder": "opinionwatch.models.encoder:Encoder",
    "textcnn": "opinionwatch.models.textcnn:TextCnn",
    "rnn": "opinionwatch.models.rnn:Gru",
    "lstm": "opinionwatch.models.lstm:Lstm",
    "transformer": "opinionwatch.models.transformer:Transformer",
}

SCORERS: dict[str, str] = {
    "neural": "opinionwatch.models.neural:NeuralScorer",
    "lexicon": "opinionwatch.models.lexicon:LexiconScorer",
    "huggingface": "opinionwatch.models.huggingface:HuggingFaceScorer",
}
"""Kind in the settings → import string of a class built as `Class(settings: Class.Settings)`."""
