"""The loop of the chat: what is typed is asked, or done when it is a command."""

from __future__ import annotations

from bringup.actions.arguments import checked_text
from bringup.actions.chat.answer import count_tokens
from bringup.actions.chat.chat_file import SavedChat, chat_path, list_chats, load_chat, save_chat, unused_name
from bringup.actions.chat.conversation import Role
from bringup.errors import BringupError, WrongUse
from bringup.faces.cli.chat import Talk
from bringup.faces.cli.chat_commands import ChatCommand, Command, Message, UnknownCommand, parse_typed
from bringup.faces.cli.chat_input import ChatInput
from bringup.faces.render.chat import WindowShare, context_lines, help_lines
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import format_count
from bringup.machine.folders import Folders
from bringup.records import replace
from bringup.units import parse_tokens

_NONE = "none"


def chat(talk: Talk, source: ChatInput, folders: Folders) -> None:
    """Talk until the user leaves."""
    while True:
        try:
            line = source.read()
        except EOFError:
            return
        except KeyboardInterrupt:
            talk.console.line(Styled("Ctrl-D or /quit leaves.", Style.DIM))
            continue
        try:
            typed = parse_typed(checked_text(line, "what was typed"))
            if typed == Command(ChatCommand.QUIT, ""):
                return
            _do(typed, talk, folders)
        except BringupError as problem:
            talk.show_error(problem)
        except KeyboardInterrupt:
            # Between two answers (a restart, a pull): a question that waits for its answer is taken back.
            talk.conversation = talk.conversation.without_last_question()
            talk.console.line(Styled("(interrupted)", Style.YELLOW))


def _do(typed: object, talk: Talk, folders: Folders) -> None:
    match typed:
        case Message(text):
            talk.ask(text)
        case Command(command, argument):
            _DOINGS[command](talk, argument, folders)
        case UnknownCommand(word, nearest):
            meant = f"Did you mean {nearest}? " if nearest else ""
            raise WrongUse(
                f"there is no command {word}",
                hint=f"{meant}/help lists the commands; a space in front sends it as a message.",
                reference="unknown-command",
            )
        case _:
            pass


def _help(talk: Talk, argument: str, folders: Folders) -> None:  # noqa: ARG001 - one signature for all
    for line in help_lines(talk.console.note_terminal.width_columns):
        talk.console.line(line)


def _system(talk: Talk, argument: str, folders: Folders) -> None:  # noqa: ARG001
    if argument:
        text = "" if argument.lower() == _NONE else argument
        talk.conversation = replace(talk.conversation, system=text)
    shown = talk.conversation.system
    talk.console.line(f"system prompt: {shown}" if shown else "There is no system prompt.")


def _context(talk: Talk, argument: str, folders: Folders) -> None:  # noqa: ARG001
    session = talk.session
    if argument:
        try:
            wanted = parse_tokens(argument)
        except ValueError as problem:
            raise WrongUse(str(problem), hint="For example: /context 8k") from problem
        session.restart(n_ctx=wanted)
    talk.say_long("the engine counts")
    for line in context_lines(_shares(talk), n_ctx=session.n_ctx):
        talk.console.line(line)


def _shares(talk: Talk) -> tuple[WindowShare, ...]:
    """Tokens by what they belong to; the template's own are what the parts do not explain."""
    api, conversation = talk.session.api, talk.conversation
    texts = {
        "system prompt": conversation.system,
        "questions": "\n".join(turn.text for turn in conversation.turns if turn.role is Role.USER),
        "answers": "\n".join(turn.text for turn in conversation.turns if turn.role is Role.ASSISTANT),
    }
    shares = [WindowShare(name, len(api.tokenize(text))) for name, text in texts.items() if text]
    whole = count_tokens(api, conversation)
    template = max(0, whole - sum(share.n_tokens for share in shares))
    return (*shares, WindowShare("template", template)) if whole else ()


def _clear(talk: Talk, argument: str, folders: Folders) -> None:  # noqa: ARG001
    talk.forget()
    talk.console.line("The conversation is forgotten.")


def _save(talk: Talk, argument: str, folders: Folders) -> None:
    path = chat_path(folders, argument or unused_name(folders))
    save_chat(path, SavedChat(talk.conversation, talk.session.alias))
    talk.console.line(f"Saved to {path}")


def _load(talk: Talk, argument: str, folders: Folders) -> None:
    if not argument:
        names = list_chats(folders)
        talk.console.line(f"saved: {', '.join(names)}" if names else f"Nothing is saved in {folders.chats}.")
        return
    saved = load_chat(chat_path(folders, argument))
    talk.forget()
    talk.conversation = saved.conversation
    n_questions = saved.conversation.n_exchanges
    questions = f"{format_count(n_questions)} question{'s' * (n_questions != 1)}"
    talk.console.line(f"Loaded {questions}" + (f", held with {saved.model}." if saved.model else "."))


def _model(talk: Talk, argument: str, folders: Folders) -> None:  # noqa: ARG001
    if argument:
        talk.session.change_model(talk.obtain(argument))
    talk.console.line(f"model: {talk.session.alias} ({talk.session.model.paths[0]})")


def _thinking(talk: Talk, argument: str, folders: Folders) -> None:  # noqa: ARG001
    wanted = argument.lower()
    if wanted in ("show", "hide"):
        talk.shows_thinking = wanted == "show"
        talk.console.line(f"Thinking is {'shown' if talk.shows_thinking else 'folded'} from now on.")
    elif argument:
        raise WrongUse(f"/thinking takes show or hide, not {argument!r}", hint="Alone it shows the last one.")
    else:
        last = next((turn.reasoning for turn in reversed(talk.conversation.turns) if turn.reasoning), "")
        talk.console.line(Styled(last or "The last answers hold no thinking.", Style.DIM))


def _quit(talk: Talk, argument: str, folders: Folders) -> None:  # noqa: ARG001
    raise WrongUse("/quit takes no argument", hint="To send it as a message put a space in front.")


_DOINGS = {
    ChatCommand.HELP: _help,
    ChatCommand.SYSTEM: _system,
    ChatCommand.CONTEXT: _context,
    ChatCommand.CLEAR: _clear,
    ChatCommand.SAVE: _save,
    ChatCommand.LOAD: _load,
    ChatCommand.MODEL: _model,
    ChatCommand.THINKING: _thinking,
    ChatCommand.QUIT: _quit,
}
