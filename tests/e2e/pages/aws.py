"""Says what is wrong with calls of the AWS CLI, by its own tables, and calls nothing: `aws.py SERVICE OPERATION [OPTION ...]`."""

import sys

from awscli.clidriver import create_clidriver


def problem(words):
    # The help of a command is where the CLI lays its tables open.
    here = create_clidriver().create_help_command()
    known, path, words = set(here.arg_table), ["aws"], list(words)
    while words and not words[0].startswith("-") and here.command_table:
        if words[0] not in here.command_table:
            return f"`{' '.join(path)}` has no `{words[0]}`"
        here = here.command_table[words[0]].create_help_command()
        known |= set(here.arg_table or {})
        path.append(words.pop(0))
    if here.command_table:
        return f"`{' '.join(path)}` wants an operation"
    for option in (word[2:].split("=")[0] for word in words if word.startswith("--")):
        if option not in known:
            return f"`{' '.join(path)}` has no option --{option}"
    return None


if __name__ == "__main__":
    print(problem(sys.argv[1:]) or "", end="")
