"""The model wrote a malformed tool call.

Symptom: HTTP 500 "does not match the expected peg-native format" or "error parsing tool call", now and
    then, mostly far into a long conversation.
Reason: the server looks for the tool call in the form that the template prescribes. The model wrote it
    wrongly (a tag twice, broken JSON), which small, strongly quantised or over-long conversations make
    likelier.
Sources: https://github.com/mostlygeek/llama-swap/issues/856
    https://github.com/ggml-org/llama.cpp/blob/master/docs/function-calling.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"does not match the expected [\w-]+ format",
        anchor="does not match the expected",
        example='{"error":{"code":500,"message":"The model produced output that does not match the'
        " expected peg-native"
        ' format","type":"server_error"}}',
    ),
    Sign(
        r"error parsing tool call|failed to parse tool call|Failed to parse tool call arguments",
        anchor="tool call",
        example='msg="error parsing tool call" raw="{\\"name\\": \\"read" err="unexpected end of JSON input"',
    ),
    Sign(
        r"Failed to parse arguments: \[json\.exception",
        anchor="failed to parse arguments: [json.exception",
        example="Failed to parse arguments: [json.exception.parse_error.101] parse error at line 1, column 6:"
        " syntax error while parsing object separator",
    ),
    Sign(
        r"Failed to parse input at pos (?:\d|N\b)",
        anchor="failed to parse input at pos",
        example="Failed to parse input at pos 41: <|channel|>commentary to=functions.read",
    ),
    Sign(
        r"unparsed peg-\w{1,40} output",
        anchor="unparsed peg-",
        example="common_chat_peg_parse: unparsed peg-native output: <tool_call>",
    ),
    Sign(
        r"XML syntax error on line \d{1,10}|parse error.{0,120}tool_call",
        anchor="error",
        example="Error: XML syntax error on line 7: element <function> closed by </parameter>",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Tool call mismatch|[Ii]nvalid tool call",
        anchor="tool call",
        example="Tool call mismatch: prev='read_file' new='write_file'",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)(?:fail(?:ed)?|error|unable|could not)\b.{0,12} pars\w{1,5} (?:the )?(?:tool|function)["
        r" _-]?(?:call )?(?:argument|call)",
        anchor="pars",
        example="Error: Failed to parse tool arguments: Unexpected end of JSON input",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Invalid diff: (?:tool call mismatch|now finding less tool calls|'.{0,200}' not found at start of)",
        anchor="invalid diff: ",
        example="got exception: Invalid diff: now finding less tool calls!",
    ),
    Sign(
        r"(?i)invalid ?(?:tool|function)[ _-]?(?:call )?arguments|invalid arguments for tool\b",
        anchor="argument",
        example="AI_InvalidToolArgumentsError: Invalid arguments for tool write",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)error validating (?:args|arguments|tool)\b",
        anchor="error validating ",
        example='Error validating args {"path": "a.py for tool \'file_editor\': Unterminated string'
        " starting at: line 1",
        certainty=Certainty.LIKELY,
        needs=("tool",),
    ),
    Sign(
        r"(?i)tool[ _]?call.{0,24} (?:are|is) not (?:a )?valid json",
        anchor="valid json",
        example="Tool call arguments are not valid JSON: Expecting ',' delimiter",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Unterminated string starting at",
        anchor="unterminated string starting at",
        example="json.decoder.JSONDecodeError: Unterminated string starting at: line 1 column 12 (char 11)",
        certainty=Certainty.LIKELY,
        needs=("tool_call",),
    ),
)

STEPS = (
    Step(
        "Read what the model wrote (after `unparsed` or `raw=` in the log) and send the request again.",
        safety=Safety.LOOK,
    ),
    Step(
        "Update the engine and the model file: templates and parsers of tool calls are corrected often.",
        safety=Safety.SAFE,
        touches="the engine's folder, a new model file",
        undo="the former ones",
        verify=("llama-server", "--version"),
    ),
    Step(
        "Keep the conversation shorter, lower the temperature, leave the KV cache in f16, or take a"
        " larger quantisation.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former values",
        verify=("llama-server", "--version"),
    ),
)
