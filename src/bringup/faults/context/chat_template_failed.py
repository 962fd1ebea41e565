"""The chat template of the model cannot be parsed or rendered.

Symptom: "failed to parse chat template (defaulting to chatml)", a Jinja error with a row and column, or a
    server that stops with "please consider disabling jinja".
Reason: the template that turns messages into the model's prompt is a small Jinja program in the model
    file (or given by you). This one uses something that the engine's Jinja does not know, or refuses
    these messages.
Sources: https://github.com/speakleash/bielik-tools/issues/5
    https://github.com/containers/ramalama/pull/2422
"""

from __future__ import annotations

from typing import Final

from bringup.faults._fault import Certainty, Safety, Sign, Step

_OTHER_PROGRAMS: Final = (
    *("flask", "django", "ansible", "templatenotfound", "saltstack", "cookiecutter"),
    *("homeassistant", "home assistant", "airflow", "dbt_", "mkdocs", "sphinx"),
)
"""Anchors of programs that fill in templates of quite another kind."""

_SAID: Final = r"^(?!.*raise_exception\().*"
"""Before a template's own words of refusal: a listing of the template has them too, and nothing failed."""

SIGNS = (
    Sign(
        r"(?i)fail(?:ed)? to (?:parse|initialize|apply|render|compile) (?:the )?(?:tool use )?(?:chat"
        r" )?template",
        anchor="template",
        example="common_chat_templates_init: failed to parse chat template (defaulting to chatml):"
        " Expected closing block tag at row 19, column 49:",
    ),
    Sign(
        r"common_chat_templates_init: error",
        anchor="common_chat_templates_init: error",
        example="common_chat_templates_init: error: Unknown argument ensure_ascii for function tojson",
    ),
    Sign(
        r"chat template parsing error",
        anchor="chat template parsing error",
        example="srv init: chat template parsing error: Expected value expression at row 3, column 7",
    ),
    Sign(
        r"[Uu]nable to generate parser for this template",
        anchor="nable to generate parser for this template",
        example="Unable to generate parser for this template. Automatic parser generation failed:",
    ),
    Sign(
        rf"{_SAID}Tool call IDs should be alphanumeric",
        anchor="tool call ids should be",
        example="Tool call IDs should be alphanumeric strings with length 9!",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        rf"{_SAID}System message must be at the beginning",
        anchor="system message must be at",
        example="System message must be at the beginning.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        rf"{_SAID}only supports single tool-calls",
        anchor="single tool-calls",
        example="This model only supports single tool-calls at once!",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        rf"{_SAID}tool role, but there was no previous assistant message",
        anchor="no previous assistant message",
        example="Message has tool role, but there was no previous assistant message with a tool call!",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"consider disabling jinja",
        anchor="consider disabling jinja",
        example="init: please consider disabling jinja via --no-jinja, or use a custom chat template"
        " via --chat-template",
    ),
    Sign(
        r"(?:custom|supplied|chat) template .{0,40}(?:is )?not (?:yet )?supported",
        anchor="template",
        example="error: the supplied chat template is not supported: alpaca2",
    ),
    Sign(
        r"Template(?:Syntax|Assertion|Runtime)?Error:",
        anchor="templat",
        example="jinja2.exceptions.TemplateError: Conversation roles must alternate"
        " user/assistant/user/assistant/...",
        unless=_OTHER_PROGRAMS,
    ),
    Sign(
        r"Jinja Exception|jinja2?\.exceptions",
        anchor="jinja",
        example='{"error":{"code":500,"message":"Jinja Exception: Conversation roles must alternate"}}',
        unless=_OTHER_PROGRAMS,
    ),
    Sign(
        r"Error rendering prompt with jinja template",
        anchor="error rendering prompt",
        example='"Error rendering prompt with jinja template: "Cannot call something that is not a'
        ' function""',
    ),
    Sign(
        r"\bat row \d{1,6}, column \d{1,6}:",
        anchor="at row ",
        example="Value is not callable: null at row 1, column 72:",
    ),
    Sign(
        r"While executing \w{1,40} at line \d{1,10}, column \d{1,10}",
        anchor="while executing",
        example="While executing For at line 1, column 162 in source:",
    ),
    Sign(
        rf"{_SAID}roles must alternate (?:user|between|with)",
        anchor="roles must alternate",
        example="Conversation roles must alternate user/assistant/user/assistant/...",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        rf"{_SAID}Only user and assistant roles are supported",
        anchor="roles are supported",
        example="ValueError: Only user and assistant roles are supported!",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        rf"{_SAID}No user query found in messages",
        anchor="no user query found",
        example="Error: No user query found in messages.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"template: :\d{1,10}(?::\d{1,10})?: ",
        anchor="template: :",
        example='Error: template: :3: function "currentDate" not defined',
    ),
    Sign(
        r"failed to determine tool format",
        anchor="failed to determine tool format",
        example="[ERROR] Template seems to support tool calls, but failed to determine tool format."
        " Tool calling will not work",
    ),
    Sign(
        r"Unknown (?:\(built-in\) filter '|\w{1,20}Value filter: |statement: |test ')",
        anchor="unknown ",
        example="Unknown (built-in) filter 'tojson' for type Undefined",
        certainty=Certainty.LIKELY,
        unless=_OTHER_PROGRAMS,
    ),
    Sign(
        r"Callee is not a function: got",
        anchor="callee is not a function",
        example="Callee is not a function: got Undefined (hint: 'strftime_now')",
    ),
    Sign(
        r"Expected iterable or object type in for loop",
        anchor="expected iterable or object type",
        example="Expected iterable or object type in for loop: got String",
    ),
    Sign(
        r"Cannot perform operation \S{0,12} ?on (?:undefined|null) values",
        anchor="cannot perform operation",
        example="Cannot perform operation + on undefined values",
        certainty=Certainty.LIKELY,
        unless=_OTHER_PROGRAMS,
    ),
    Sign(
        r"(?i)(?:fail(?:ed|s)?|error|unable|invalid)\b.{0,40}\bjinja2?\b.{0,20}\btemplate|\bjinja2?\b.{0,2"
        r"0}\btemplate\b.{0,40}(?:fail(?:ed|s)?|error|invalid)\b",
        anchor="jinja",
        example="The provided Jinja template failed the sanity test: Error: Unknown ArrayValue filter:"
        " rejectattr",
        certainty=Certainty.LIKELY,
        unless=_OTHER_PROGRAMS,
    ),
    Sign(
        r"\(in <string>:\d{1,6}\)",
        anchor="(in <string>:",
        example="invalid operation: tried to use + operator on unsupported types undefined and string (in"
        " <string>:3)",
        certainty=Certainty.LIKELY,
        unless=_OTHER_PROGRAMS,
    ),
    Sign(
        r"--chat-template\b.{0,20}use one of the built-in templates",
        anchor="built-in templates",
        example="Invalid argument: --chat-template, use one of the built-in templates",
    ),
    Sign(
        r"usually an issue with the model's prompt template",
        anchor="issue with the model's prompt template",
        example="This is usually an issue with the model's prompt template. If you are using a popular"
        " model, you can",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\bat row \d{1,6}, column \d{1,6}:",
        anchor=" column ",
        example="Value is not callable: null at row 45, column 12:",
    ),
    Sign(
        r"System role not supported",
        anchor="system role not supported",
        example="System role not supported",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"You have passed a message containing <\|channel\|> tags",
        anchor="you have passed a message containing",
        example="You have passed a message containing <|channel|> tags in the thinking field.",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("output-garbage", "server-not-ready", "raw-control-tokens")

STEPS = (
    Step("See the template that the model file carries: `bringup show MODEL`.", safety=Safety.LOOK),
    Step(
        "Update the engine and the model file: both engines' Jinja and templates are corrected often.",
        safety=Safety.SAFE,
        touches="the engine's folder, a new model file",
        undo="the former ones",
        verify=("bringup", "ps"),
    ),
    Step(
        "Give a corrected template with --chat-template-file (llama.cpp's models/templates has many),"
        " or use the built-in one of the family: --no-jinja --chat-template NAME.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="leave the option out",
        verify=("bringup", "ps"),
    ),
)
