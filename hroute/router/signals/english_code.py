"""The English words by which work on program code is known, and what is to be done with the code: data only."""

from __future__ import annotations

from typing import Final

TECHNOLOGY: Final = (
    # names: what is asked about them may be code, or a comparison, or a text
    "python", "python3", "javascript", "typescript", "java", "c++", "c#", ".net", "golang", "kotlin", "php", "perl", "haskell", "scala", "fortran", "cobol", "vba", "matlab", "sql", "mysql", "postgres", "postgresql", "sqlite", "mongodb", "redis", "html", "css", "jquery", "react native",
    "react.js", "reactjs", "angularjs", "vue.js", "vuejs", "svelte", "next.js", "nextjs", "node.js", "nodejs", "npm", "webpack", "tailwind", "django", "fastapi", "spring boot", "spring security", "laravel", "pytorch", "torch", "tensorflow", "keras", "pandas", "numpy", "matplotlib",
    "scikit-learn", "sklearn", "docker", "kubernetes", "k8s", "terraform", "ansible", "jenkins", "github", "gitlab", "git", "bash", "zsh", "powershell", "linux", "ubuntu", "debian", "fedora", "gentoo", "arch linux", "archlinux", "rhel", "systemd", "nginx", "arduino", "esp32", "raspberry pi",
    "opengl", "cuda", "gpus", "aws", "vpc", "ec2", "cloudflare", "busybox", "cmake", "gradle", "maven", "selenium", "graphql", "unity", "unreal engine", "godot", "google colab", "jupyter", "visual studio", "vscode", "android studio", "xcode", "swiftui", "flutter", "oauth", "verilog", "vhdl",
    "solidity", "smart contract", "graphviz", "mermaid", "ggplot", "ggplot2", "dplyr",
)  # fmt: skip
CODE: Final = (
    # one of these is enough
    "react component", "react app", "in react", "angular app", "flask app", "dockerfile", "docker-compose", "shader", "makefile", "regex", "regexp", "regular expression*", "excel formula", "google sheets formula", "excel macro", "apps script", "latex code", "pytest", "unittest", "bootstrap 5",
    "refactor*", "debug*", "unit test*", "stack trace", "stacktrace", "traceback", "compile error", "compiler error", "syntax error", "segfault", "null pointer", "sql query", "pull request", "merge conflict", "code review", "source code", "this code", "my code", "the code", "write code",
    "this function", "this class", "this method", "this module", "this program", "this script", "this bug", "the bug", "codebase", "git rebase", "docstring*", "type hints", "linter", "npm install", "pip install", "shell script", "shell command", "command line", "terminal command", "api endpoint", "rest api", "websocket*", "leetcode",
    "dataframe*", "stdin", "stdout", "stderr", "symlink*", "symbolic link*", "chmod", "crontab", "cron job", "environment variable*", "current directory", "working directory", "home directory", "directory tree", "subdirector*", "recursively", "wget", "curl -*", "with curl", "tarball",
    "hostname", "localhost", "web server", "web app", "mobile app", "discord bot", "telegram bot", "chrome extension", "browser extension", "backend", "frontend", "front-end", "microservice*", "pseudocode", "binary search", "linked list*", "hash map", "hashmap", "user script",
    "lambda function", "kernel module", "device driver", "minecraft plugin", "webhook*", "compiler", "bytecode", "assembly code", "into variable", "to variable", "in variable", "ping request*", "mount point*", "background job", "job to background", "in the background",
)  # fmt: skip
WRITE_CODE: Final = (
    r"\b(?:write|create|generate|make|implement|build|develop|give me|draft|code|finish|complete|provide)\b(?: \S+){0,8}? (?:function|class|method|script|program|code|module|unit tests?|tests|sql|query|regex|regexp|regular expression|algorithm|api|endpoint|app|application|component|dockerfile|makefile|macro|bash|python|javascript|typescript|java|rust|golang|c\+\+|html|css|snippet|one-liner|parser|crawler|scraper|cli|library|package|schema|migration|deployment|webpage|web page|website|plugin|extension|simulator|compiler)\b",
)
CODE_PATTERNS: Final = (
    *WRITE_CODE,
    r"\b(?:fix|implement|rename|optimi[sz]e|port|compile|lint|test)\b.{0,40}\b(?:function|module|bug|tests?|script|code|component|endpoint|query)\b",
    # what is done in a shell
    r"^(?:please )?(?:recursively |force |always )?(?:find|list|search|print|show|display|count|copy|copie|move|delete|remove|rename|sort|replace|compress|archive|extract|create|set|save|read|append|merge|split|check|get|make|change|output|calculate|kill|send|mount|unzip|download|dump|join|number|convert|report|add|run|execute|enable|disable|view|update|place)(?:e?s)?\b.{0,90}\b(?:files?|director(?:y|ies)|folders?|symlinks?|(?:sym|hard|symbolic )links?|lines? (?:in|of|from|that|with|containing)|process(?:es)?|permissions?|variable|disk usage|file system|filesystem|archive|owner(?:ship)?|executables?|full path|background job|shell|stdin|hostname|partition|ssh|mount points?|\.[a-z]{1,4}\b)",
    r"""(?:^|[\s(=,])["'][^"'\s]*(?:/|\*|(?-i:\$[A-Za-z])|\.[a-z]{1,4}["'])[^"'\s]*["']?""",
    r"(?:^|\s)(?:~|\.{1,2})?/(?:[\w.*-]+/)+[\w.*-]*|\*\.\w{1,5}\b|(?-i:\$[A-Z_]{2,})",
    r"\b(?:sub)?(?:director(?:y|ies)|folders?)\b.{0,60}\b(?:files?|named?|under|tree|recursive(?:ly)?|permission)",
    r"\b\w+\.(?:py|js|ts|tsx|jsx|go|rs|java|cpp|cs|rb|php|sh|sql|html|css|ipynb|yml|yaml|json|txt|log|gz|tar|csv|xml|bz2|zip)\b",
    r"\b[a-z]+_[a-z]+(?:_[a-z]+)*\(|\b(?-i:[a-z]+[A-Z])\w*\(|\b[a-z]\w+\.[a-z]\w+\(\w*[,)]",
    r"<(?:div|span|html|body|script|table|input|button|img|head|style)\b[^>]*>|^(?:def \w|import \w|from \w+ import|#include|public class|<\?php|<!doctype|#!/|create table|select .{1,80} from )",
    r"\b(?:list|array|string|integer|tuple|dictionary|matrix|boolean)s?\b.{0,80}\b(?:return|element|index|length|sort|reverse|character|input|output)s?\b",
)
STARTS_WITH_CODE: Final = (
    r"^(?:def \w+\(|class \w+[(:{]|import \w|from \w+ import|#include|public (?:class|static)|function \w+\(|package \w+;|using \w+;|<\?php|<!doctype|#!/)",
)
MATHS: Final = (
    r"\\(?:frac|sqrt|sum|int|left|right|begin|text|deg|angle|triangle|cdot|times|mathbb|beta|alpha|theta)\b|\\\[|\\\(",
)
ON_A_FILE: Final = (
    "refactor*", "fix", "debug*", "implement*", "review", "optimi*", "rename", "clean up", "add", "remove", "change", "improve", "test", "tests", "module", "function", "class", "method", "bug", "file", "code", "edit", "update", "port", "document", "explain",
)  # fmt: skip
NOT_CODE: Final = (
    "cover letter", "short story", "movie script", "film script", "screenplay", "fanfic*", "novel", "poem", "lyrics", "zip code", "dress code", "code of conduct", "area code", "promo code", "discount code", "qr code", "bar code", "morse code",
)  # fmt: skip

CODE_TASKS: Final = (
    # (task, phrases, patterns); the dearest first, because a request that asks for two things is as dear as the dearer
    ("design", ("architect*", "system design", "data model", "design a", "design the", "design an", "how should i structure", "project structure", "design pattern*", "scalab*", "trade-off*", "tradeoff*", "from scratch", "technical design", "rfc", "adr", "implementation plan", "roadmap"), (r"\bplan\b.{0,40}\b(?:migration|implementation|feature|system|service)\b",)),
    ("refactor", ("refactor*", "restructure", "rearchitect", "clean up", "cleanup", "decouple", "split into", "extract into", "migrate", "migration", "port to", "convert to", "convert this", "rewrite in", "rewrite this", "modulari*", "deduplicate", "across the codebase", "all files", "whole codebase", "every file", "optimi*"), (r"\b(?:convert|port|migrate|rewrite|upgrade)\b.{0,60}\b(?:to|from|into)\b",)),
    ("debug", ("debug*", "bug", "bugs", "fix", "fixes", "fixing", "traceback", "stack trace", "stacktrace", "exception", "segfault", "crash*", "doesn't work", "does not work", "not working", "isn't working", "fails", "failing", "failed", "broken", "wrong output", "unexpected", "memory leak", "deadlock", "race condition", "infinite loop", "why does this", "why is this", "what's wrong", "what is wrong", "undefined is not", "error message", "getting an error", "i get an error", "error:"), (r"\b\w*(?:Error|Exception)\b:?",)),
    ("comment", ("docstring*", "add comments", "add a comment", "comment this", "comment the", "code comments", "inline comments", "javadoc", "jsdoc", "document this", "document the", "explain this code", "explain the code", "explain this function", "what does this code", "what does this function", "type hints", "type annotations", "readme"), (r"\b(?:add|write|generate|insert)\b.{0,20}\b(?:comments?|docstrings?|documentation|type hints)\b",)),
    ("format", ("reformat", "format this", "format the", "formatting", "prettify", "pretty print", "pretty-print", "indent*", "lint", "linting", "eslint", "prettier", "gofmt", "black", "ruff", "isort", "sort the imports", "sort imports", "pep8", "pep 8", "snake_case", "camelcase", "trailing whitespace", "line length", "minify", "beautify"), ()),
    ("completion", ("complete this", "complete the", "complete my", "finish this", "finish the", "fill in the", "autocomplete", "auto-complete", "code completion", "continue this", "continue the code", "<|fim_prefix|>", "<fim_prefix>", "<fim_middle>", "todo: implement", "implement this function", "implement the function", "implement the following function"), ()),
    ("command", ("shell command", "terminal command", "git command", "docker command", "bash command", "linux command", "one-liner", "command to", "command for", "command line", "what command", "which command", "crontab", "chmod", "current directory", "home directory", "directory tree", "subdirector*", "recursively", "symbolic link*", "symlink*"), (r"^(?:please )?(?:recursively |force )?(?:find|list|search(?: for)?|print|show|display|count|copy|move|delete|remove|rename|sort|replace|compress|archive|create|set|save|change|kill|mount|unzip|download)\b.{0,90}\b(?:files?|director(?:y|ies)|folders?|links?|process(?:es)?|permissions?|disk usage|archive|\.[a-z]{1,4})\b", r"\b(?:git|docker|kubectl|npm|pip|apt|brew|ssh|grep|sed|awk|tar|curl|systemctl) [a-z-]+\b")),
    ("syntax", ("syntax for", "syntax of", "what is the syntax", "what's the syntax", "how do i declare", "how to declare", "how do you declare", "how do i write a for loop", "for loop in", "while loop in", "list comprehension", "lambda in", "ternary", "difference between", "what does the", "what is a", "what are", "how do i use", "how to use", "how do you use", "equivalent of", "built-in function"), (r"\bhow (?:do|can|to|would|should)(?: (?:i|you|one|we))?\b.{0,60}\b(?:in|with|using) (?:python|javascript|typescript|java|rust|go|golang|c\+\+|c#|bash|sql|ruby|php|kotlin|swift|r|css|html|pandas|numpy)\b", r"\bwhat (?:does|is|are) .{1,40} (?:mean|do|in (?:python|javascript|java|rust|go|c\+\+|sql|bash))\b")),
    ("edit", ("rename", "replace", "change the", "change this", "add a", "add an", "add the", "remove the", "remove unused", "delete the", "update the", "move the", "edit the", "edit this", "make it", "set the", "insert", "append", "modify"), ()),
)  # fmt: skip
