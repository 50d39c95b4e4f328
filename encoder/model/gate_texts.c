/* gate_texts.c - the texts of the gate (gate.h): questions, then passages of many kinds and
 * lengths.
 *
 * All wording is ours. Several passages are near the same question on purpose: the order of close
 * calls is what a coarser precision spoils first.
 */
#include "encoder/model/gate.h"

const char *const gate_text[] = {
    /* questions */
    "how do I undo my last commit",
    "why does bread dough need to rest",
    "What is the boiling point of water on a high mountain?",
    "cancel a subscription and get the money back",
    "symptoms of too little vitamin D",
    "parse a date in python",
    "who repairs old violins",
    "memory leak",
    "When was the bridge over the river finished, and what did it cost?",
    "quelle est la capitale du Portugal",
    "rules for working from home on Fridays",
    "Which planets can be seen without a telescope?",
    "disk is full, server stopped answering",
    "best time to prune apple trees",
    "error 403",
    "how long can cooked rice stay in the fridge",

    /* passages */
    "To take back the newest commit but keep its changes in the working folder, move the branch "
    "one "
    "step back with a soft reset. If the commit was already shared, make a new one that reverses "
    "it "
    "instead, because others may have built on it.",
    "A commit is a picture of the whole tree with a message and a parent. Branches are names that "
    "point to commits, and they move forward when a new commit is made.",
    "git stash puts unfinished changes aside; git stash pop brings them back.",
    "While dough rests, the gluten that was stretched by kneading relaxes, and the flour takes up "
    "the rest of the water. After half an hour the dough is easier to shape and does not spring "
    "back.",
    "Mix 500 g flour, 320 ml water, 10 g salt and 7 g dry yeast. Knead for ten minutes, let it "
    "rise "
    "for an hour, shape, let it rise again and bake at 230 degrees for 35 minutes.",
    "Bake the cake at 180 degrees until a wooden stick comes out clean.",
    "Water boils when its vapour pressure equals the pressure of the air around it. At sea level "
    "that is at 100 degrees Celsius; at 3000 metres the air is thinner and about 90 degrees are "
    "enough, so potatoes need longer.",
    "The hut lies at 2,412 m and is open from mid June to late September.",
    "You may end your subscription at any time from the page of your account. Payments of the last "
    "fourteen days are returned to the card that was used; older ones are not.",
    "Invoice no. 20417 / customer 8831 / due within 30 days / total 149.00 EUR incl. 19 % VAT",
    "Adults who see little sunlight in winter often lack vitamin D. Tiredness, aching bones and "
    "weak "
    "muscles may be signs of it; a blood test tells.",
    "Oranges, peppers and fresh herbs are rich in vitamin C.",
    "from datetime import datetime\n\ndef parse(text):\n    for form in (\"%Y-%m-%d\", "
    "\"%d.%m.%Y\"):\n        try:\n            return datetime.strptime(text, form)\n        "
    "except "
    "ValueError:\n            pass\n    raise ValueError(text)\n",
    "static int count(const char *s, char c)\n{\n    int n = 0;\n    while (*s)\n        n += *s++ "
    "== c;\n    return n;\n}\n",
    "In a quiet street behind the cathedral a woman of sixty mends violins, some of them three "
    "hundred years old. She opens the body with a thin knife, glues the cracks with hide glue and "
    "waits. \"Wood,\" she says, \"does nothing in a hurry.\" Musicians of four orchestras bring "
    "her "
    "their instruments, and the waiting list is a year long. She has taught three pupils; one of "
    "them has a workshop of his own now, in a town by the sea, where he makes cellos from maple "
    "that "
    "his grandfather felled.",
    "The string quartet plays every first Sunday of the month at eleven; admission is free.",
    "A program leaks memory when it no longer knows of blocks that it has not given back. A tool "
    "that "
    "notes every allocation and its caller finds them at the end of the run. In long-running "
    "servers "
    "look for caches without a limit first.",
    "Ageing and sleep: people over seventy remember less of what they learned the evening before.",
    "The stone bridge was begun in 1871 and opened to carts four years later. The town had set "
    "aside "
    "40,000 crowns; in the end it paid almost three times as much, because two of the piers sank "
    "in "
    "the first winter.",
    "Lisbonne, capitale du Portugal, s'étend sur sept collines au bord du Tage.",
    "Der Zug nach Lissabon fährt täglich um 21.25 Uhr und braucht die ganze Nacht.",
    "Employees may work from home on up to two days a week if their team agrees. Fridays are no "
    "exception. Who works from home can be reached by telephone between ten and three.",
    "Subject: Friday\n\nHi all,\nthe office closes at two this Friday because the heating is being "
    "repaired. Please take your plants with you!\nAnna",
    "Mercury, Venus, Mars, Jupiter and Saturn are bright enough for the naked eye; Uranus can just "
    "be "
    "found in a very dark sky by those who know where to look.",
    "| planet | moons | day |\n|---|---|---|\n| Mars | 2 | 24.6 h |\n| Jupiter | 95 | 9.9 h |\n",
    "2024-02-11 03:14:07 ERROR storage: write failed: no space left on device (/var/lib/data)\n"
    "2024-02-11 03:14:07 WARN api: 312 requests waiting\n2024-02-11 03:14:12 FATAL api: shutting "
    "down",
    "Old log files can be packed every night and removed after a month, so that the disk does not "
    "fill up.",
    "Apple trees are pruned in late winter while they sleep, on a dry day without frost. Take out "
    "what is dead, what crosses and what grows inwards, and stop when the crown lets a hat be "
    "thrown "
    "through it.",
    "Plant tulip bulbs in autumn, twice as deep as they are high.",
    "HTTP 403 means that the server has understood the request and refuses it: the key may lack a "
    "right, or the address is not on the list. Asking again with the same key does not help.",
    "404 page not found",
    "Cooked rice should be cooled within an hour and kept in the fridge for no more than a day or "
    "two, since the spores of a bacterium survive cooking and grow in warm rice. Heat it through "
    "before eating, once only.",
    "Rice fields need standing water for three months of the year; farmers in the delta raise fish "
    "in them at the same time. The fish eat insects and weeds and their waste feeds the plants. "
    "When "
    "the water is let out before the harvest the fish gather in a deeper ditch at the edge, where "
    "children catch them with baskets. The method is old, was almost forgotten when chemical "
    "fertiliser became cheap, and is now spreading again because it pays: a field gives a tenth "
    "more "
    "rice, costs less and yields some hundred kilograms of fish a year. What it needs is a "
    "neighbour "
    "upstream who does not spray, and time.",
    "12 x 18 = 216; 216 / 8 = 27; the cube root of 27 is 3.",
    "cheese",
    "The committee met at nine. Present: the chair, the treasurer and five members; two sent their "
    "apologies. The minutes of the last meeting were approved without change. The treasurer "
    "reported "
    "that fees had come in from all but eleven members and that the roof of the boat house would "
    "cost 8,200, of which the town may pay half. It was agreed to ask three firms for offers and "
    "to "
    "decide in May. A member asked whether the footpath could be lit in winter; the chair will "
    "speak "
    "with the council. The summer party is on the second Saturday of July, by the lake if the "
    "weather is fine and in the hall if it is not. There being no further business the meeting "
    "closed "
    "at half past ten.",
};

const int gate_questions = 16;
const int gate_passages = (int)(sizeof gate_text / sizeof *gate_text) - 16;
