//! The blocks of a page that run, as one script, so that each finds what those before it left.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::checkout::Checkout;
use super::verdict::{Outcome, Verdicts};
use super::{commands, rehearsal};

/// What the blocks find in the shell.
const PRELUDE: &str = include_str!("prelude.sh");
/// Begins the line that says which block begins; as `at` in the prelude writes it.
const HERE: &str = "@@ ";
/// Of a page, its compilers included, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(600);
/// So much of what a block said is shown.
const SHOWN: usize = 3_000;

/// A block for bash.
pub(super) struct Step {
    pub(super) place: String,
    pub(super) text: String,
    /// Whether it is the page's own words.
    pub(super) shell: bool,
}

/// Commands whose standard input is a text.
pub(super) fn fed(commands: &str, text: &str) -> String {
    format!("{{ {commands}; }} <<'THE_BLOCK_ENDS'\n{text}THE_BLOCK_ENDS\n")
}

/// Runs a page's blocks in their order. Those behind one that fails are not tried.
pub(super) fn run(steps: &[Step], checkout: &Checkout, verdicts: &mut Verdicts) {
    let starts = steps.iter().any(|step| step.shell && step.text.contains("headgate serve"));
    let mut text = PRELUDE.to_owned();
    if !starts {
        text.push_str("headgate serve\n");
    }
    for step in steps {
        text.push_str(&format!("at '{}'\n{}", step.place, checkout.localized(&step.text)));
    }
    text.push_str("at 'the end of the page'\nend_gateway\n");

    let (status, said) = to_its_end(&text, checkout);
    let separator = format!("\n{HERE}");
    let mut begun = said.split(&separator).skip(1);
    if begun.clone().next().is_none() {
        verdicts
            .problem(&steps[0].place, &format!("the gateway of the page does not start: {status}\n{}", end_of(&said)));
    }
    let recorded = rehearsal::recorded(checkout);
    for step in steps {
        let Some(part) = begun.next() else { return };
        let (_, output) = part.split_once('\n').unwrap_or((part, ""));
        let failed = begun.clone().next().is_none();
        if failed {
            verdicts.problem(&step.place, &format!("{status}\n{}", end_of(output)));
            return;
        }
        let spoken: Vec<_> =
            recorded.iter().filter(|(place, _)| *place == step.place).map(|(_, command)| command).collect();
        let problems: Vec<String> = spoken.iter().filter_map(|command| commands::problem(command)).collect();
        if let Some(missing) = promised(step).find(|line| !output.contains(line)) {
            verdicts.problem(&step.place, &format!("it does not print {missing}, but\n{}", end_of(output)));
        } else if !problems.is_empty() {
            verdicts.problem(&step.place, &problems.join("\n"));
        } else {
            let only_spoken = step.shell && lines_of_commands(&step.text) == spoken.len();
            let outcome = if only_spoken { Outcome::Checked } else { Outcome::Run };
            verdicts.outcomes.push((step.place.clone(), outcome));
        }
    }
    if !status.success() {
        let end = begun.next().unwrap_or_default();
        verdicts.problem("the page's gateway", &format!("{}: {status}\n{}", steps[0].place, end_of(end)));
    }
}

/// What a shell block says that it prints.
fn promised(step: &Step) -> impl Iterator<Item = &str> {
    step.text
        .lines()
        .filter(|_| step.shell)
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with('{'))
}

fn lines_of_commands(text: &str) -> usize {
    let text = text.replace("\\\n", " ");
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).count()
}

fn end_of(said: &str) -> &str {
    let mut from = said.len().saturating_sub(SHOWN);
    while !said.is_char_boundary(from) {
        from += 1;
    }
    said[from..].trim()
}

/// Runs a script, and whatever it started ends with it.
fn to_its_end(text: &str, checkout: &Checkout) -> (ExitStatus, String) {
    let (script, said) = (checkout.own("page.sh"), checkout.own("said"));
    fs::write(&script, text).expect("it can be written");
    let output = File::options().create(true).append(true).open(&said).expect("it can be written");
    let mut bash = checkout.bash();
    bash.arg(&script).env("RECORDS", checkout.own(rehearsal::RECORDS));
    bash.stdin(Stdio::piped()).stdout(output.try_clone().expect("a file can be shared")).stderr(output);
    let mut group = Group(bash.process_group(0).spawn().expect("bash can be run"));
    let status = group.ended();
    let bytes = fs::read(said).expect("it was written");
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

/// A process and all that it starts.
struct Group(Child);

impl Group {
    fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("one's own child can be waited for") {
                return status;
            }
            if start.elapsed() > PATIENCE {
                self.kill();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The group outlives its first process as long as another one is in it, so its number is nobody else's.
    fn kill(&self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        let _ = self.0.wait();
    }
}
