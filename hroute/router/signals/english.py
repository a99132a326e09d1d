"""The English words by which intents, asking again and marks of difficulty are known: data only.

Phrases are whole words, `*` at the end makes a prefix; patterns are RE2 (`hroute.terms.pattern`). What is said about
code stands in `english_code`.
"""

from __future__ import annotations

from typing import Final

_LITTLE: Final = (
    "a an and any are as at be been but by can could did do does for from had has have he her his how i if in is it its just me my no not of on or our out please she so some that the their them "
    "there they this to too up us was we were what when where which who why will with would you your"
)
LITTLE_WORDS: Final = frozenset(_LITTLE.split())

_ASKING: Final = (
    "need help want know tell give get find check see like please assistance show let make thanks thank hi hello hey ok okay much many very really got more one two any other use using needs wanna gonna information info "
    "question questions trying try possible able here now today"
)
ASKING: Final = frozenset(_ASKING.split())

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
    "arrived broken", "came broken", "is broken", "food poisoning", "made me sick", "hair in my", "rude", "speak to a manager", "speak to the manager", "talk to a manager", "speak to your manager", "your supervisor", "fed up", "sick and tired",
    "not happy", "unhappy", "dissatisfied", "not satisfied", "very upset", "angry", "furious", "waste of money", "want compensation", "compensat*", "escalate this", "this is ridiculous", "how dare", "never again", "let me down", "false advertising",
    "cancelled my order", "ignored me", "no one answers", "nobody answers", "no response", "appalling", "outrageous", "grievance*", "reclamation*", "consumer claim", "customer claim", "claim against", "bad experience", "experience was bad", "not good enough", "lousy",
)  # fmt: skip
COMPLAINT_PATTERNS: Final = (
    r"\b(?:my|the|our) (?:order|food|pizza|meal|parcel|package|delivery|coffee|drink|item)\b.{0,40}\b(?:cold|late|wrong|missing|lost|damaged|broken|stale|burnt|raw|spilled|leaking)\b",
    r"\b(?:hours?|minutes?|days?|weeks?) late\b",
    r"\bi(?:'ve| have) been waiting\b",
    r"\b(?:wait(?:ed|ing)) (?:for )?(?:over |more than )?(?:an?|one|two|three|\d+) (?:hours?|days?|weeks?)\b",
    r"\bwhy (?:was|am|were) i (?:been )?charged\b",
    r"\b(?:fil(?:e|ing)|lodg(?:e|ing)|mak(?:e|ing)|submit(?:ting)?|rais(?:e|ing)|regist(?:er|ering)|put in) (?:[a-z]+ ){0,4}(?:claim|complaint|grievance)s?\b",
)

LEGAL: Final = (
    "lawyer*", "attorney*", "solicitor*", "law firm", "legal action", "legal advice", "legal question", "legally", "lawsuit*", "sue you", "suing", "sue them", "sue my", "sue for", "litigation", "small claims", "subpoena*", "liable", "liability", "negligence", "indemnif*",
    "breach of contract", "contract clause", "non-compete", "nda", "non-disclosure", "lease agreement", "tenancy", "eviction", "evict*", "landlord*", "custody", "divorce*", "probate", "power of attorney", "last will", "copyright infring*", "trademark*",
    "patent infring*", "gdpr", "ccpa", "hipaa", "data protection", "terms of service", "terms and conditions", "privacy policy", "consumer rights", "consumer protection", "statute*", "jurisdiction", "defamation", "libel", "slander", "restraining order", "felony",
    "misdemeanor", "bail", "plaintiff*", "defendant*", "court order", "go to court", "take you to court", "court date", "employment law", "labor law", "unfair dismissal", "wrongful termination", "is it legal", "is it illegal", "illegal to", "police report", "settlement",
    "constitutional*", "unconstitutional", "prosecut*", "jury", "convicted", "indicted", "treaty", "treaties", "jurisprudence", "international law", "human rights", "law of", "common law", "contract law", "criminal law", "civil law", "customary law", "legal", "illegal",
    "lawful*", "unlawful*", "easement*", "covenant*", "tort", "torts", "breach of", "damages for", "beneficiary", "bequeath*", "testator", "injunction*", "supreme court", "federal court", "appeals court", "amendment",
)  # fmt: skip

TEXTS: Final = r"(?:texts?|posts?|articles?|essays?|stor(?:y|ies)|poems?|songs?|lyrics|slogans?|taglines?|headlines?|captions?|e-?mails?|letters?|descriptions?|ads?|adverts?|announcements?|speech(?:es)?|dialogues?|ideas|plots?|menus?|newsletters?|blogs?|reviews?|biograph(?:y|ies)|bios?|jokes|recipes?|messages?|summar(?:y|ies)|reports?|prompts?|tweets?|invitations?|toasts?|novels?|chapters?|scenes?|screenplays?|scenarios?|cover letter|resum[eé]s?|paragraphs?|sentences?|fanfic[a-z]*|monologues?|sonnets?|haikus?|raps?|eulogy|press release|proposals?)"
TEXT_PATTERNS: Final = (
    # a text that is named
    rf"\b(?:write|draft|compose|pen|generate|create|make up|make|come up with|invent|produce|give me|craft|continue|finish|rewrite)\b(?: (?:me|us|up|out|for me))?(?: (?:an?|the|this|my|our|some|\d+|two|three|five|ten|new))? ?(?:[a-z-]+ ){{0,4}}{TEXTS}\b",
    r"\b(?:rewrite|rephrase|reword|paraphrase|proofread|polish)\b",
    r"\bbrainstorm\b",
    r"\b(?:role-?play|fan ?fiction|screenplay|in the style of)\b",
)
GENERATION_PATTERNS: Final = (
    *TEXT_PATTERNS,
    r"\bhelp me (?:to )?(?:write|draft|phrase|word|compose)\b",
    r"\b(?:act|respond|reply|speak|pretend(?: to be)?) (?:as|like) (?:an?|the|my)\b",
    r"\b(?:write|draft|compose|pen|prepare|author)\b(?: (?:me|us|up|out|for me))? (?:an?|the|some|my|our|this|two|three|\d+|another|short|long|nice|good|funny|professional|polite|catchy|follow-up|commit|cover|blog|product)\b",
)

FAQ: Final = (
    # a question about the house, whole
    "opening hours", "opening times", "business hours", "closing time", "opening time", "are you open", "are you closed", "you open on", "when do you open", "when do you close", "what time do you", "how late are you", "hours today", "open today", "open tomorrow",
    "what's your address", "what is your address", "your address", "where are you located", "where are you", "where is your", "how do i get there", "how do i find you", "your location", "nearest store", "nearest branch", "your number", "contact number",
    "how much do you", "what does it cost", "price list", "your prices", "what are your rates", "delivery free", "free delivery", "free shipping",
    "do you deliver", "delivery fee", "delivery cost", "delivery charge", "delivery time", "delivery times", "shipping cost", "shipping costs", "how long does delivery", "how long does shipping", "minimum order", "delivery area", "do you ship",
    "do you take cards", "pay by card", "payment methods", "take reservations", "need a reservation", "have parking", "free wifi", "do you have wifi", "wheelchair accessible", "do you have vegan", "gluten free", "gluten-free", "dog friendly",
)  # fmt: skip
FAQ_PATTERNS: Final = (
    r"\b(?:are|is|will) (?:you|it|the [a-z]+|your [a-z]+)(?: guys)? (?:still )?(?:be )?(?:open|closed)\b",
    r"\b(?:when|what time|until when|till when|how late)\b.{0,30}\b(?:open|close[sd]?|closing|shut)\b",
    r"\b(?:open|closed?)\b.{0,25}\b(?:today|tonight|tomorrow|weekends?|holidays?|christmas|easter|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)\b",
    r"\bwhere (?:are you|is your|can i find (?:you|your)|do i find you)\b",
    r"\b(?:is|are|do you (?:have|offer)) (?:the |your )?(?:delivery|shipping|parking|wi-?fi|takeaway|take-?out)\b.{0,25}(?:\bfree\b|\?)",
    r"\bhow (?:much|long)\b.{0,30}\b(?:deliver(?:y|ing)?|shipping|ship)\b",
    r"\bdo (?:you|they) (?:deliver|ship|do delivery|offer|have|sell|serve|accept|take|play|allow|provide)\b[^.!]{0,60}\?",
    r"\bhow long (?:does it|will it|do i|until|till|to)\b.{0,40}\b(?:arrive|come|get|take|wait|receive|be seated)\b",
    r"\bhow (?:soon|busy|old do)\b",
    r"\bwhen (?:will|does|do|can|should) (?:my|the|i)\b.{0,40}\b(?:arrive|come|get|receive|expect|delivered|ship)\b",
)
FAQ_MATTERS: Final = (
    # what a house is asked about; it is a question only beside FAQ_ASKS
    "address", "addresses", "street address", "located", "location", "locations", "directions", "phone number", "contact number", "telephone number", "the number", "phone no", "contact phone", "contact info*", "contact details", "customer service", "customer support",
    "customer assistance", "support hours", "call customer", "reach you", "website", "hours", "opening", "price", "prices", "pricing", "price range", "cost", "costs", "how much", "expensive", "cheap", "pricey", "affordable", "fee", "fees", "charge", "charges", "rate", "rates",
    "per night", "one night", "deposit", "discount*", "exchange rate", "interest rate", "rating", "ratings", "rated", "reviews", "stars", "star rating", "wifi", "wi-fi", "internet", "parking", "pets", "dog", "dogs", "smoking", "smoke", "live music", "music", "vegetarian", "vegan",
    "gluten*", "halal", "kosher", "outdoor seating", "outside seating", "sit outside", "alcohol", "alcoholic", "liquor", "laundry", "unisex", "cosmetic", "reservations", "menu", "cuisine", "delivery", "deliver", "shipping", "shipment", "ship", "payment method*", "payment option*",
    "payment modes", "pay with", "accept", "accepts", "accepted", "visa", "mastercard", "amex", "apple pay", "google pay", "paypal", "currency", "currencies", "fiat", "countries", "country", "abroad", "age limit", "minimum age", "how old", "requirement*", "limit", "limits",
    "restriction*", "maximum", "minimum", "increments", "refund policy", "return policy", "policy", "penalty", "cancellation fee", "termination fee", "warranty", "routing", "swift code", "wait time", "waiting time", "how long", "how soon", "new card", "replacement card", "physical card",
    "virtual card", "disposable card*", "extra card*", "another card", "spare card", "top up", "top-up", "atm", "atms", "auto top", "available in", "offer", "amenities", "check-in", "check in time", "seats", "wheelchair", "facilities", "gym", "pool", "breakfast",
)  # fmt: skip
FAQ_ASKS: Final = (
    r"\?",
    r"^(?:(?:so|and|ok|okay|hi|hello|hey|also|thanks|great|good|yes|no),? )*(?:what|whats|what's|where|when|which|who|how|is|are|do|does|can|could|will|would|may|at what|in what|any)\b",
    r"\b(?:tell|show|give|send|get|find|text) me\b",
    r"\b(?:can|could|would) (?:you|u|ya|i)\b",
    r"\b(?:need|want|like|wanna|would like|trying|have) (?:to )?(?:know|see|check|find|learn|ask|hear|call|speak|contact|reach|help|assistance)\b",
    r"\b(?:help|assistance|info(?:rmation)?|details|clarification)\b.{0,20}\b(?:check\w*|see\w*|know\w*|find\w*|with|about|on)\b",
    r"\b(?:let me know|find out|do you know|i wonder|what about|how about|please)\b",
)
FAQ_UNLESS: Final = (
    "code", "function", "file", "files", "python", "script", "pull request", "open source", "open a", "issue", "bug", "essay", "write", "draft", "problem", "error", "wrong", "failed", "fails", "declined", "denied", "stolen", "lost", "rejected", "reverted", "not working", "doesn't work",
    "isn't working", "didn't", "did not", "not received", "hasn't", "haven't", "cancel", "canceling", "cancelling", "change", "changing", "modify", "edit", "update", "track", "tracking", "status", "eta", "unsubscribe", "subscribe", "newsletter", "invoice", "password", "book a", "book me", "reserve a",
    "make a reservation", "i'd like a reservation", "pay my", "delete", "remove", "close my", "solve", "prove", "calculate", "compute", "probability", "equation", "theorem", "explain why", "argue", "diagnos*", "symptom*", "medication*", "dose", "dosage", "invest in", "should i", "permission",
    "act as", "i want you to", "total", "altogether", "in all", "each", "times as", "twice", "half", "percent", "left over", "remaining", "spend on", "earn*", "why", "reason", "my address", "shipping address", "delivery address", "new address", "different address", "secondary", "where am i", "my card's", "submit*", "set up", "opening an account",
    "opening a", "refused", "refusing", "returned", "taken", "additional charge", "extra charge", "extra fee",
)  # fmt: skip

SMALLTALK: Final = (
    "hi", "hello", "hey", "hi there", "hello there", "hey there", "hiya", "howdy", "good morning", "good afternoon", "good evening", "good night", "thanks", "thank you", "thanks a lot", "thank you very much", "thank you so much",
    "many thanks", "cheers", "thx", "ty", "bye", "goodbye", "bye bye", "see you", "see you later", "have a nice day", "have a good day", "how are you", "how are you doing", "how are you today", "how's it going", "what's up", "whats up",
    "sup", "nice to meet you", "who are you", "what are you", "what is your name", "what's your name", "are you a robot", "are you a bot", "are you human", "are you real", "how old are you", "where are you from",
    "tell me a joke", "tell me a fun fact", "i love you", "you're funny", "you are funny", "good bot", "well done", "great job", "awesome", "cool", "nice", "lol", "haha", "do you have a name", "can you hear me", "what can you do", "do you like me", "are you there",
)  # fmt: skip
SMALLTALK_PATTERNS: Final = (
    # said to or about the one who answers
    r"\b(?:are you|am i (?:talking|speaking) (?:to|with)|you(?:'re| are)(?: not)?(?: actually)?)\b.{0,24}\b(?:real|robot|bot|ai|a\.i\.|human|person|machine|computer|alive|automated|intelligent|artificial|married|single|dating|going out)\b",
    r"\bwho (?:made|created|built|programmed|designed|fabricated|invented|trained|owns) you\b|\bhow (?:were|are) you (?:made|created|built)\b|\bhow was this ai\b",
    r"\b(?:your|you) (?:name|age|birthday|birth|boss|hobby|hobbies|favou?rite [a-z]+|pets?|parents|family|maker|creator|job)\b",
    r"\bdo you (?:have|like|love|know|think|want|dream|sleep|eat|feel|get|believe)\b.{0,40}\b(?:pets?|jokes?|me|i'm|i am|hobbies|friends|feelings|family|name|bored|lonely|tired|you)\b",
    r"\b(?:tell|give|sing|know) (?:me )?(?:a|an|any|another|some|me a|good)?\b.{0,12}\b(?:jokes?|song|fun fact|riddle)\b|\bmake me laugh\b|\bsomething (?:funny|interesting)\b",
    r"^(?:(?:ok|okay|great|perfect|cool|good|well|alright|awesome|wonderful|no|that's great|sounds good|that will do|i am|i'm)[,.! ]*)*(?:then[,.! ]*)?(?:many )?(?:thank(?:s|ful)?\b|thx\b|i appreciate|much appreciated)[^?]*$",
    r"\b(?:that(?:'s| is| was) (?:all|it|everything|great|what i needed|helpful)|that will be all|that would be all|i'm done|i am done)\b[^?]*$|\bcan ?not thank you enough\b",
    r"\b(?:good ?bye|bye|see you|talk to you later|have a (?:good|great|nice|wonderful)|nice (?:talking|chatting|meeting|to meet)|it was (?:nice|great|enjoyable|good) talking)\b",
    r"\bhow(?:'s| is| are) (?:everything|it|things|you|life|your day)\b",
    r"\bwhat (?:do|can|should) (?:people|i|we|you) (?:call|ask|do for)\b.{0,12}\b(?:you|me)?\b",
    r"^i(?:'m| am) (?:happy|in a great mood|excited|bored|glad|fine|good|great|well|hungry|back|here|going to bed)\b",
)
NOT_SMALLTALK: Final = (
    # whoever says this gets the best there is
    "kill*", "suicid*", "die", "dying", "dead", "hurt myself", "harm", "self-harm", "despair", "depress*", "hopeless", "abuse*", "emergency", "hospital", "bleeding", "overdose", "panic", "threaten*", "weapon*", "gun", "bomb", "police",
    "code", "function", "python", "order", "refund", "account", "card", "payment", "bill", "error", "fix", "write", "translate", "explain", "solve", "calculate", "but",
)  # fmt: skip

REASONING: Final = (
    # each group counts once, however often it occurs
    r"\b(?:show your (?:work|reasoning)|reason(?:ing)? (?:about|through))\b",  # "think step by step" is said of anything
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

TASKS: Final = (
    # (kind of work, phrases, patterns), in the order in which they claim a message
    ("translation", ("translate*", "translation"), (r"\bhow do you say\b", r"\bwhat(?:'s| is) .{1,40} in (?:french|german|spanish|italian|japanese|chinese|russian|portuguese|dutch)\b")),
    ("summarization", ("summari*", "summary of", "tl;dr", "tldr", "key points", "main points", "in a nutshell", "condense", "boil down"), ()),
    ("classification", ("classify", "classification", "categori*", "sentiment", "label each", "label this", "label the", "spam or not", "is this spam", "positive or negative", "which category"), ()),
    ("extraction", ("extract*", "pull out", "list all the names", "find all the names", "find all the dates", "parse the following", "fill the form"), ()),
    ("analysis", ("analy*", "compare", "comparison", "evaluate", "assess", "pros and cons", "trade-off*", "tradeoff*", "critique", "root cause", "review this", "design", "investigate", "interpret"), ()),
)  # fmt: skip

QUESTIONS: Final = (
    r"^(?:who|what|when|where|why|which|how|is|are|was|were|do|does|did|can|could|will|would|should|has|have|may)\b",
    r"\?\s*$",
)
PLAIN_QUESTIONS: Final = (
    r"(?:^|[.:!?] )(?:please )?(?:who|what|what's|when|where|which|why|how (?:much|many|old|far|long|tall|big|often|do|does|is|are|can)|is|are|do|does|did|can|could|will|was|were|has|have|define|name|list|translate|spell|convert)\b",
)
