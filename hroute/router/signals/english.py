"""The English words by which intents, kinds of work and asking again are known: data only.

Phrases are whole words, `*` at the end makes a prefix; patterns are RE2 (`hroute.terms.pattern`).
"""

from __future__ import annotations

from typing import Final

_LITTLE: Final = (
    "a an and any are as at be been but by can could did do does for from had has have he her his how i if in is it its just me my no not of on or our out please she so some that the their them "
    "there they this to too up us was we were what when where which who why will with would you your"
)
LITTLE_WORDS: Final = frozenset(_LITTLE.split())

GO_ON: Final = (
    "yes", "y", "yep", "yeah", "yes please", "ok", "okay", "ok go", "go", "go on", "go ahead", "continue", "proceed", "do it", "please do", "please continue", "sure", "sounds good", "right", "correct", "next", "more",
    "and", "keep going", "carry on", "yes do it", "ok do it", "no", "nope", "the first one", "the second one", "both",
)  # fmt: skip

ASKS_AGAIN: Final = (
    "that's not what i", "that is not what i", "not what i asked", "not what i meant", "i meant", "what i mean*", "i already told you", "i already said", "as i said", "like i said", "you didn't answer", "you did not answer",
    "didn't answer my question", "doesn't answer", "still doesn't", "still does not", "still not", "still wrong", "still don't", "still confused", "doesn't work", "does not work", "didn't work", "not working",
    "that's wrong", "that is wrong", "that's incorrect", "you're wrong", "wrong again", "try again", "again please", "once more", "i don't understand", "i do not understand", "what do you mean", "what does that mean",
    "can you clarify", "please clarify", "could you clarify", "to clarify", "i asked", "my question was", "same problem", "same error", "same issue", "be more specific", "more precisely", "misunderstood",
)  # fmt: skip

COMPLAINT: Final = (
    "complain*", "money back", "my money back", "refund*", "want a refund", "unacceptable", "disappoint*", "disgust*", "terrible service", "bad service", "poor service", "awful", "horrible", "worst", "ripped off", "rip-off", "scam*",
    "overcharged", "charged twice", "double charged", "charged me", "wrong order", "wrong item", "wrong food", "wrong size", "came cold", "arrived cold", "was cold", "stone cold", "food was cold", "never arrived", "never came",
    "hasn't arrived", "has not arrived", "didn't arrive", "did not arrive", "still waiting", "still haven't received", "never received", "not received", "haven't received", "missing item*", "items missing", "was missing", "arrived damaged", "damaged",
    "arrived broken", "came broken", "is broken", "food poisoning", "made me sick", "hair in my", "rude", "speak to a manager", "speak to the manager", "talk to a manager", "speak to your manager", "your supervisor", "fed up",
    "not happy", "unhappy", "dissatisfied", "not satisfied", "very upset", "angry", "furious", "waste of money", "want compensation", "compensat*", "escalate this", "this is ridiculous", "how dare", "never again", "let me down", "false advertising",
    "cancelled my order", "ignored me", "no one answers", "nobody answers", "no response",
)  # fmt: skip
COMPLAINT_PATTERNS: Final = (
    r"\b(?:my|the|our) (?:order|food|pizza|meal|parcel|package|delivery|coffee|drink|item)\b.{0,40}\b(?:cold|late|wrong|missing|lost|damaged|broken|stale|burnt|raw|spilled|leaking)\b",
    r"\b(?:hours?|minutes?|days?|weeks?) late\b",
    r"\bi(?:'ve| have) been waiting\b",
    r"\b(?:wait(?:ed|ing)) (?:for )?(?:over |more than )?(?:an?|one|two|three|\d+) (?:hours?|days?|weeks?)\b",
    r"\bwhy (?:was|am|were) i (?:been )?charged\b",
)

LEGAL: Final = (
    "lawyer*", "attorney*", "solicitor*", "law firm", "legal action", "legal advice", "legal question", "legally", "lawsuit*", "sue you", "suing", "sue them", "sue my", "sue for", "litigation", "small claims", "subpoena*", "liable", "liability", "negligence", "indemnif*",
    "breach of contract", "contract clause", "non-compete", "nda", "non-disclosure", "lease agreement", "tenancy", "eviction", "evict*", "landlord*", "custody", "divorce*", "probate", "power of attorney", "last will", "copyright infring*", "trademark*",
    "patent infring*", "gdpr", "ccpa", "hipaa", "data protection", "terms of service", "terms and conditions", "privacy policy", "consumer rights", "consumer protection", "statute*", "jurisdiction", "defamation", "libel", "slander", "restraining order", "felony",
    "misdemeanor", "bail", "plaintiff", "defendant", "court order", "go to court", "take you to court", "court date", "employment law", "labor law", "unfair dismissal", "wrongful termination", "is it legal", "is it illegal", "illegal to", "police report", "settlement",
)  # fmt: skip

GENERATION_PATTERNS: Final = (
    r"\b(?:write|draft|compose|pen|prepare|author)\b(?: (?:me|us|up|out|for me))? (?:an?|the|some|my|our|this|two|three|\d+|another|short|long|nice|good|funny|professional|polite|catchy|follow-up|commit|cover|blog|product)\b",
    r"\b(?:generate|create|make up|come up with|invent|produce)\b(?: (?:me|us|for me))? (?:an?|the|some|\d+|three|five|ten|new)? ?(?:\pL+ ){0,4}(?:texts?|posts?|articles?|essays?|stor(?:y|ies)|poems?|songs?|lyrics|slogans?|taglines?|names?|titles?|headlines?|captions?|e-?mails?|letters?|descriptions?|ads?|adverts?|announcements?|speech(?:es)?|scripts?|dialogues?|ideas|plots?|characters?|menus?|newsletters?|blogs?|reviews?|biograph(?:y|ies)|bios?|jokes|recipes?|messages?|summar(?:y|ies)|reports?|prompts?|tweets?|invitations?|toasts?)\b",
    r"\b(?:rewrite|rephrase|reword|paraphrase|proofread|polish)\b",
    r"\bbrainstorm\b",
    r"\bhelp me (?:to )?(?:write|draft|phrase|word|compose)\b",
    r"\b(?:continue|finish) (?:the|this|my) (?:story|text|essay|poem|chapter)\b",
)
GENERATION_OF_CODE: Final = (
    r"\b(?:write|create|generate|make|implement|build|develop|give me|draft)\b(?: \S+){0,8}? (?:function|class|method|script|program|code|module|unit tests?|tests|sql|query|regex|regexp|regular expression|algorithm|api|endpoint|app|application|component|dockerfile|makefile|macro|bash|python|javascript|typescript|java|rust|golang|c\+\+|html|css|snippet|one-liner|parser|crawler|scraper|cli|library|package|schema|migration)\b",
)

FAQ: Final = (
    "opening hours", "opening times", "business hours", "closing time", "opening time", "are you open", "are you closed", "you open on", "when do you open", "when do you close", "what time do you", "how late are you", "hours today", "open today", "open tomorrow",
    "what's your address", "what is your address", "your address", "where are you located", "where are you", "where is your", "how do i get there", "how do i find you", "your location", "nearest store", "nearest branch", "phone number", "your number", "contact number",
    "how much is", "how much are", "how much does", "how much do you", "what does it cost", "what's the price", "what is the price", "price list", "your prices", "what are your rates", "delivery free", "free delivery", "free shipping",
    "do you deliver", "delivery fee", "delivery cost", "delivery charge", "delivery time", "delivery times", "shipping cost", "shipping costs", "how long does delivery", "how long does shipping", "minimum order", "delivery area", "do you ship",
    "do you accept", "do you take cards", "pay by card", "pay with", "payment methods", "take reservations", "need a reservation", "have parking", "free wifi", "do you have wifi", "wheelchair accessible", "do you have vegan", "gluten free", "gluten-free", "dog friendly",
    "the menu", "your menu",
)  # fmt: skip
FAQ_PATTERNS: Final = (
    r"\b(?:are|is|will) (?:you|it|the \pL+|your \pL+)(?: guys)? (?:still )?(?:be )?(?:open|closed)\b",
    r"\b(?:when|what time|until when|till when|how late)\b.{0,30}\b(?:open|close[sd]?|closing|shut)\b",
    r"\b(?:open|closed?)\b.{0,25}\b(?:today|tonight|tomorrow|weekends?|holidays?|christmas|easter|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)\b",
    r"\bwhere (?:are you|is your|can i find (?:you|your)|do i find you)\b",
    r"\b(?:is|are|do you (?:have|offer)) (?:the |your )?(?:delivery|shipping|parking|wi-?fi|takeaway|take-?out)\b.{0,25}(?:\bfree\b|\?)",
    r"\bhow (?:much|long)\b.{0,30}\b(?:deliver(?:y|ing)?|shipping|ship)\b",
    r"\bdo you (?:deliver|ship|do delivery|offer|have|sell|serve|accept|take)\b[^.!]{0,60}\?",
)
FAQ_UNLESS: Final = ("code", "function", "file", "files", "python", "script", "pull request", "open source", "open a", "issue", "bug", "essay", "write", "draft")  # fmt: skip

SMALLTALK: Final = (
    "hi", "hello", "hey", "hi there", "hello there", "hey there", "hiya", "howdy", "good morning", "good afternoon", "good evening", "good night", "thanks", "thank you", "thanks a lot", "thank you very much", "thank you so much",
    "many thanks", "cheers", "thx", "ty", "bye", "goodbye", "bye bye", "see you", "see you later", "have a nice day", "have a good day", "how are you", "how are you doing", "how are you today", "how's it going", "what's up", "whats up",
    "sup", "nice to meet you", "who are you", "what are you", "what is your name", "what's your name", "are you a robot", "are you a bot", "are you human", "are you real", "how old are you", "where are you from",
    "tell me a joke", "tell me a fun fact", "i love you", "you're funny", "you are funny", "good bot", "well done", "great job", "awesome", "cool", "nice", "lol", "haha", "do you have a name", "can you hear me", "what can you do", "do you like me", "are you there",
)  # fmt: skip

REASONING: Final = (
    # each group counts once, however often it occurs
    r"\b(?:step[- ]by[- ]step|think (?:carefully|through|hard)|show your (?:work|reasoning)|reason(?:ing)? (?:about|through))\b",
    r"\b(?:prove|proof|derive|derivation|theorem|lemma|induction|integral|differential equation|eigenvalues?|probability (?:that|of)|how many ways)\b",
    r"\b(?:design|architect(?:ure)?|devise|plan out|roadmap|strategy|migrat(?:e|ion))\b",
    r"\b(?:trade-?offs?|pros and cons|compare|contrast|versus|weigh|advantages and disadvantages|alternatives)\b",
    r"\b(?:optimi[sz]e|minimi[sz]e|maximi[sz]e|bottleneck|scal(?:e|able|ability)|complexity|throughput|latency|concurren(?:t|cy)|distributed|consisten(?:t|cy)|fault[- ]toleran(?:t|ce)|race condition|deadlock)\b",
    r"\b(?:analy[sz]e|evaluate|assess|critique|justify|root cause|implications|in depth|in detail|comprehensive|thorough(?:ly)?)\b",
    r"\b(?:constraints?|requirements?|assum(?:e|ing|ptions)|edge cases|invariants?|failure modes?)\b",
    r"\b(?:first|firstly)\b[\s\S]*\b(?:then|second(?:ly)?|next)\b[\s\S]*\b(?:finally|third(?:ly)?|last(?:ly)?)\b",
)

FORMAT: Final = (
    r"\b(?:in|as|into|valid|return|output|only) (?:an? )?(?:json|yaml|xml|csv|toml|latex|sql)\b",
    r"\b(?:markdown |as a |in a )table\b",
    r"\b(?:exactly|at most|no more than|at least|under|within) \d+ (?:words?|characters?|sentences?|lines?|items?|bullets?|bullet points|paragraphs?)\b",
    r"\b(?:json schema|following (?:format|schema|structure)|bullet points?|numbered list)\b",
)

CODE: Final = (
    "refactor*", "debug*", "unit test*", "stack trace", "stacktrace", "traceback", "compile error", "compiler error", "syntax error", "segfault", "null pointer", "regex", "regexp", "regular expression", "sql query", "pull request",
    "merge conflict", "code review", "source code", "this code", "my code", "the code", "this function", "this script", "this bug", "the bug", "codebase", "repository", "git rebase", "dockerfile", "kubernetes", "docstring*", "type hints",
    "linter", "pytest", "npm install", "pip install", "javascript", "typescript", "python function", "python script", "in python", "in java", "in rust", "in golang", "in c++", "in c#", "in javascript", "in typescript", "bash script", "shell script",
    "react component", "api endpoint", "rest api", "django", "fastapi", "pandas", "numpy", "leetcode",
)  # fmt: skip
CODE_PATTERNS: Final = (
    r"\b(?:fix|implement|rename|optimi[sz]e|port|compile|lint|test)\b.{0,40}\b(?:function|method|class|module|bug|tests?|script|program|code|file|error|exception|component|endpoint|query)\b",
)
ON_A_FILE: Final = (
    "refactor*", "fix", "debug*", "implement*", "review", "optimi*", "rename", "clean up", "add", "remove", "change", "improve", "test", "tests", "module", "function", "class", "method", "bug", "file", "code", "edit", "update", "port", "document",
)  # fmt: skip

TASKS: Final = (
    # (kind of work, phrases, patterns), in the order in which they claim a message
    ("translation", ("translate*", "translation"), (r"\bhow do you say\b", r"\bwhat(?:'s| is) .{1,40} in (?:french|german|spanish|italian|japanese|chinese|russian|portuguese|dutch)\b")),
    ("summarization", ("summari*", "summary of", "tl;dr", "tldr", "key points", "main points", "in a nutshell", "condense", "boil down"), ()),
    ("classification", ("classify", "classification", "categori*", "sentiment", "label each", "label this", "label the", "spam or not", "is this spam", "positive or negative", "which category"), ()),
    ("extraction", ("extract*", "pull out", "list all the names", "find all the", "parse the following", "fill the form"), ()),
    ("analysis", ("analy*", "compare", "comparison", "evaluate", "assess", "pros and cons", "trade-off*", "tradeoff*", "critique", "root cause", "review this", "design", "investigate", "interpret"), ()),
)  # fmt: skip

QUESTIONS: Final = (
    r"^(?:who|what|when|where|why|which|how|is|are|was|were|do|does|did|can|could|will|would|should|has|have|may)\b",
    r"\?\s*$",
)
PLAIN_QUESTIONS: Final = (
    r"^(?:please )?(?:who|what|what's|when|where|which|why|how (?:much|many|old|far|long|tall|big|often|do|does|is|are|can)|is|are|do|does|did|can|could|will|was|were|has|have|define|name|list|translate|spell|convert)\b",
)
