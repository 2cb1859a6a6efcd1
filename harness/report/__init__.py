"""Outcomes to what people and machines read: HTML, Markdown, JSON, JUnit and figures.

``write.write`` is the only function here with an effect. The others turn an ``Outcome`` into text and do so
deterministically: the same outcome gives the same bytes, for no clock and no random number is asked.
"""
