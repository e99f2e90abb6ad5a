//! Makes the text that the demo perturbs and trains on: notes as a bicycle workshop's staff might write them, one repair a line.
//!
//! The text has to be bundled, must not belong to anybody and must be easy to recognise after fine-tuning, so it is composed here from parts
//! written for the purpose. The same seed gives the same text: `cargo run --release -p dpft --example workshop_notes > examples/workshop-notes.txt`.

use std::io::Write;

/// Lines in the bundled text: enough for a private run of a few epochs with an expected batch of 64 to mean something.
const LINES: usize = 3000;

const BIKES: [&str; 12] = [
    "city bike",
    "touring bike",
    "road bike",
    "mountain bike",
    "cargo bike",
    "folding bike",
    "child's bike",
    "old steel frame",
    "gravel bike",
    "tandem",
    "electric bike",
    "hire bike",
];

/// A part with what can be wrong with it, why, and what was done.
struct Fault {
    part: &'static str,
    symptoms: &'static [&'static str],
    causes: &'static [&'static str],
    repairs: &'static [&'static str],
}

const FAULTS: [Fault; 10] = [
    Fault {
        part: "rear brake",
        symptoms: &[
            "squeals in the rain",
            "pulls to one side",
            "needs too much force at the lever",
            "drags on the rim",
        ],
        causes: &[
            "The pads are glazed",
            "The cable is rusty inside its housing",
            "One arm does not spring back",
            "The pads are worn to the metal",
        ],
        repairs: &[
            "fitted new pads and cleaned the rim",
            "replaced the cable and its housing",
            "set the arms so that both pads touch together",
            "greased the pivots",
        ],
    },
    Fault {
        part: "front brake",
        symptoms: &[
            "squeals at every stop",
            "feels soft",
            "rubs once in each turn of the wheel",
            "does not hold on a hill",
        ],
        causes: &[
            "There is air in the line",
            "The disc is bent",
            "Oil got onto the pads",
            "The lever is set too far out",
        ],
        repairs: &[
            "bled the line and filled it with new oil",
            "straightened the disc",
            "sanded the pads and cleaned the disc",
            "moved the lever closer to the grip",
        ],
    },
    Fault {
        part: "chain",
        symptoms: &[
            "jumps under load",
            "makes a grinding noise",
            "fell off twice this week",
            "is stiff in one place",
        ],
        causes: &[
            "It is worn past the limit of the gauge",
            "It was never cleaned after the winter",
            "One link is bent",
            "The cassette has hooked teeth",
        ],
        repairs: &[
            "fitted a new chain and cassette",
            "cleaned and oiled it link by link",
            "replaced the bent link",
            "cut the new chain to the right length",
        ],
    },
    Fault {
        part: "gear hub",
        symptoms: &[
            "slips in third gear",
            "will not go into the lowest gear",
            "clicks when it coasts",
            "changes by itself on a bump",
        ],
        causes: &[
            "The cable has stretched",
            "The oil inside is as thick as honey",
            "A small spring is broken",
            "The axle nuts were loose",
        ],
        repairs: &[
            "set the cable by the yellow marks",
            "washed the hub and filled it with fresh oil",
            "replaced the spring",
            "tightened the axle nuts to the right torque",
        ],
    },
    Fault {
        part: "front wheel",
        symptoms: &[
            "wobbles at speed",
            "loses air over night",
            "has two broken spokes",
            "makes a ticking sound",
        ],
        causes: &[
            "It hit a kerb",
            "The rim tape has moved and a spoke end cut the tube",
            "The spokes were never tensioned after building",
            "A thorn is still in the tyre",
        ],
        repairs: &[
            "trued it and checked the tension of every spoke",
            "put in new rim tape and a new tube",
            "replaced the spokes and trued the wheel",
            "took out the thorn and patched the tube",
        ],
    },
    Fault {
        part: "rear tyre",
        symptoms: &[
            "goes flat every few days",
            "has a cut in the side wall",
            "is worn flat in the middle",
            "bulges near the valve",
        ],
        causes: &[
            "A piece of glass sits deep in the rubber",
            "It was ridden with too little air",
            "The casing is torn",
            "The brake has rubbed on it for weeks",
        ],
        repairs: &[
            "fitted a new tyre with a thicker tread",
            "took out the glass and glued a patch inside",
            "fitted a new tube and set the pressure",
            "moved the brake pad away from the tyre",
        ],
    },
    Fault {
        part: "headset",
        symptoms: &[
            "knocks when the front brake is pulled",
            "turns roughly",
            "sticks in the straight position",
            "creaks on every climb",
        ],
        causes: &[
            "The bearing is pitted",
            "The stem bolts are loose",
            "Water has washed out the grease",
            "The cups were pressed in at an angle",
        ],
        repairs: &[
            "fitted new bearings and packed them with grease",
            "set the play and tightened the stem",
            "pressed the cups in again with the proper tool",
            "cleaned and greased the bearing",
        ],
    },
    Fault {
        part: "light",
        symptoms: &[
            "flickers on rough roads",
            "does not come on at all",
            "is much too dim",
            "goes out when the wheel stops",
        ],
        causes: &[
            "The plug at the dynamo is loose",
            "A wire is broken inside the fork",
            "The contacts are green with rust",
            "The lamp is an old one without a capacitor",
        ],
        repairs: &[
            "made a new plug and secured the wire",
            "pulled a new wire through the fork",
            "cleaned the contacts and sealed them",
            "fitted a lamp that stays on at a stop",
        ],
    },
    Fault {
        part: "bottom bracket",
        symptoms: &[
            "creaks under load",
            "has play from side to side",
            "feels gritty when turned by hand",
            "clicks once in each turn",
        ],
        causes: &[
            "The shell was never faced",
            "The bearing has taken in water",
            "The cups are loose in the frame",
            "A crank bolt has lost its torque",
        ],
        repairs: &[
            "faced the shell and fitted a new bracket",
            "replaced both bearings",
            "cleaned the threads and tightened the cups with paste",
            "tightened the crank bolts to the right torque",
        ],
    },
    Fault {
        part: "battery",
        symptoms: &[
            "lasts only ten kilometres",
            "will not charge",
            "switches off on steep hills",
            "rattles in its mount",
        ],
        causes: &[
            "The cells are old",
            "A fuse in the charger is blown",
            "The software on the motor is out of date",
            "The lock of the mount is worn",
        ],
        repairs: &[
            "ordered a new battery from the maker",
            "replaced the fuse and tested the charger",
            "loaded the new software and reset the motor",
            "fitted a new lock and a rubber strip",
        ],
    },
];

const TESTS: [&str; 8] = [
    "It ran well on the test ride.",
    "We rode it around the block and it is quiet now.",
    "It works as it should.",
    "The test on the hill went well.",
    "It was checked twice before closing.",
    "No play is left.",
    "All bolts were checked with the torque wrench.",
    "It passed the safety check.",
];

const ADVICE: [&str; 8] = [
    "Please come back after a hundred kilometres.",
    "Keep the chain clean and dry.",
    "Check the tyre pressure every month.",
    "The other side will need the same work in spring.",
    "Do not wash it with a pressure cleaner.",
    "A new cable costs little and should be changed each year.",
    "The customer wants a call before we order parts.",
    "Ready to be picked up on Friday.",
];

/// A small linear congruential generator (Knuth's MMIX constants): the text needs variety and repeatability, not randomness.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick(&mut self, choices: &[&'static str]) -> &'static str {
        choices[self.roll(choices.len())]
    }
}

fn note(dice: &mut Dice) -> String {
    let fault = &FAULTS[dice.roll(FAULTS.len())];
    let (bike, symptom) = (dice.pick(&BIKES), dice.pick(fault.symptoms));
    let (cause, repair) = (dice.pick(fault.causes), dice.pick(fault.repairs));
    let mut text = match dice.roll(3) {
        0 => format!("The {} of the {bike} {symptom}. {cause}. We {repair}.", fault.part),
        1 => format!("{bike}: the {} {symptom}. {cause}. So we {repair}.", fault.part),
        _ => {
            format!("A customer says that the {} of the {bike} {symptom}. {cause}. We {repair}.", fault.part)
        }
    };
    if dice.roll(3) > 0 {
        text = text + " " + dice.pick(&TESTS);
    }
    if dice.roll(2) > 0 {
        text = text + " " + dice.pick(&ADVICE);
    }
    capitalised(&text)
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + characters.as_str())
        .unwrap_or_default()
}

fn main() -> std::io::Result<()> {
    let mut dice = Dice(2026);
    let mut out = std::io::stdout().lock();
    (0..LINES).try_for_each(|_| writeln!(out, "{}", note(&mut dice)))
}
