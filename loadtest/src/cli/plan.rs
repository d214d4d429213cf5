//! `plan`: what a run would do.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::Failure;
use super::calibrate::{self, Capacity};
use super::run_args::{Flags, LoadArgs, duration};
use crate::config::{Profile, RunConfig, Stretch};
use crate::load::Plan;
use crate::run::measures;
use crate::scenario::{self, Loaded};
use crate::slo::Rule;
use crate::terminal::sparkline;
use crate::{Model, words};

/// Flags of `plan`.
#[derive(Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// Game servers.
    #[arg(short = 'u', long, value_name = "N")]
    users: Option<u32>,
    /// How long events are due; the times of a scenario are scaled to it.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    run_time: Option<Duration>,
    /// List the scenarios, profiles and models that are built in.
    #[arg(long)]
    list: bool,
    /// Print a scenario's file, to copy and edit.
    #[arg(long, value_name = "SCENARIO")]
    show: Option<String>,
    /// Print a model's file, to copy and edit.
    #[arg(long, value_name = "MODEL")]
    show_model: Option<String>,
    /// Print all settings as they would be used, as JSON.
    #[arg(long)]
    json: bool,
}

const PROFILES: [&str; 4] = ["flat", "diurnal", "launch", "spike"];
const COLUMNS: u32 = 60;
/// Instants at which the profile is looked at for its peak.
const INSTANTS: u32 = 100 * COLUMNS;

/// What a plan comes to.
pub(super) struct Shown {
    /// Events a second.
    pub(super) mean_per_s: f64,
    pub(super) peak_per_s: f64,
    pub(super) peak_online: f64,
    pub(super) events: f64,
    /// Events a second over the run, in equal parts.
    parts: Vec<f64>,
    /// What to know before it runs.
    pub(super) notes: Vec<String>,
}

impl Shown {
    pub(super) fn of(config: &RunConfig) -> Result<Self, Failure> {
        let plan = Plan::new(config).map_err(Failure::usage)?;
        // An open end has no mean: the first hour stands for it.
        let run_s = config.run_time.as_secs_f64().min(if config.run_time > Duration::from_secs(86_400) {
            3_600.0
        } else {
            f64::MAX
        });
        let part = run_s / f64::from(COLUMNS);
        let at = |column: u32| f64::from(column) * part;
        let parts: Vec<f64> =
            (0..COLUMNS).map(|column| plan.expected_events(at(column), at(column + 1)) / part).collect();
        let events = plan.expected_events(0.0, run_s);
        let instants = (0..=INSTANTS).map(|instant| run_s * f64::from(instant) / f64::from(INSTANTS));
        let level = instants.map(|at| plan.curve.level(at)).fold(0.0, f64::max);
        let online = plan.players as f64 * (config.online * level).min(1.0);
        let peak_per_s = parts.iter().copied().fold(0.0, f64::max);
        Ok(Self {
            mean_per_s: events / run_s,
            peak_per_s,
            peak_online: online,
            events,
            parts,
            notes: notes(config, level),
        })
    }
}

/// What is no error, and not what a name or a rule promises either.
fn notes(config: &RunConfig, peak: f64) -> Vec<String> {
    let wanted = config.online * peak;
    let cut_off = || {
        format!(
            "everybody is online at the peak: the profile asks for {wanted:.1} times the players there are, and what is \
             above them is cut off; lower --online to {:.2} to keep its shape",
            (100.0 / peak).floor() / 100.0
        )
    };
    let mut notes = Vec::new();
    notes.extend((wanted > 1.0 + 1e-9).then(cut_off));
    if let Some(left) = measures::left_to_recover(config) {
        let rules = config.slos.iter().filter_map(|text| Rule::parse(text).ok());
        notes.extend(rules.filter(|rule| rule.outlasts(left)).map(|rule| {
            let left = words::duration(left);
            format!("`{rule}` can't fail, since the run ends {left} after the disturbance: give a longer --run-time")
        }));
    }
    notes
}

/// Fills in what flags give by name or file: profile and model.
pub(super) fn named(load: &LoadArgs, flags: &mut Flags) -> Result<(), Failure> {
    let run_time = match flags.run_time {
        Some(run_time) => run_time,
        None => scenario::load(load.workload.as_deref(), &Flags::default()).map_err(Failure::usage)?.config.run_time,
    };
    if let Some(profile) = &load.profile {
        flags.profile = Some(if PROFILES.contains(&profile.as_str()) {
            Profile::named(profile, run_time).map_err(Failure::usage)?
        } else {
            Profile::from_lines(&file("--profile", profile)?).map_err(Failure::usage)?
        });
    }
    if let Some(model) = &load.model {
        flags.model = Some(if Path::new(model).is_file() {
            Model::from_toml(&file("--model", model)?).map_err(Failure::usage)?
        } else {
            Model::named(model).map_err(Failure::usage)?
        });
    }
    Ok(())
}

fn file(flag: &str, path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{flag} {path}: {error}")))
}

/// Shows a plan.
pub(super) fn plan(args: &PlanArgs) -> Result<u8, Failure> {
    if args.list {
        list();
        return Ok(0);
    }
    if let Some(name) = &args.show {
        let text = scenario::built_in(name).ok_or_else(|| {
            let known = scenario::names().collect::<Vec<_>>().join(", ");
            Failure::usage(format!("no scenario `{name}`: there are {known}"))
        })?;
        print!("{text}");
        return Ok(0);
    }
    if let Some(name) = &args.show_model {
        let text = Model::built_in().find(|(known, _)| known == name).map(|(_, text)| text).ok_or_else(|| {
            let known = Model::built_in().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
            Failure::usage(format!("no model `{name}`: there are {known}"))
        })?;
        print!("{text}");
        return Ok(0);
    }
    let mut flags = args.load.layer();
    flags.run_time = args.run_time;
    flags.servers = args.users;
    named(&args.load, &mut flags)?;
    let Loaded { config, stretch } = scenario::load(args.load.workload.as_deref(), &flags).map_err(Failure::usage)?;
    let config = config.resolved();
    config.check().map_err(Failure::usage)?;
    config.check_timeline().map_err(Failure::usage)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&config).map_err(Failure::internal)?);
        return Ok(0);
    }
    show(&config, stretch)?;
    Ok(0)
}

fn show(config: &RunConfig, stretch: Option<Stretch>) -> Result<(), Failure> {
    let shown = Shown::of(config)?;
    let capacity = Capacity::measure(config, calibrate::BRIEFLY, calibrate::MOST_PLAYERS);
    let rate = |per_s: f64| words::count(per_s.round() as u64);
    println!("{}: {}", config.scenario, config.about);
    println!(
        "  players     {} on {} servers, up to {} online",
        words::count(config.players_of_shard().into()),
        words::count(config.servers_of_shard().into()),
        rate(shown.peak_online)
    );
    if config.shard.of > 1 {
        println!(
            "  shard       {} of {}: the figures are its part of {} players on {} servers",
            config.shard.index,
            config.shard.of,
            words::count(config.players.into()),
            words::count(config.servers.into())
        );
    }
    if config.closed_loop > 0 {
        println!("  closed loop {} clients that wait for each answer", config.closed_loop_of_shard());
    }
    println!("  run time    {}", words::duration(config.run_time));
    println!("  events/s    {} on average, {} at the peak", rate(shown.mean_per_s), rate(shown.peak_per_s));
    let peak = shown.peak_per_s.max(f64::MIN_POSITIVE);
    println!("              {}", sparkline(shown.parts.iter().map(|part| part / peak)));
    println!("  events      {} in all", rate(shown.events));
    println!(
        "  batches/s   {} a server, of about {:.0} events",
        (1.0 / config.linger.as_secs_f64()).round(),
        shown.mean_per_s * config.linger.as_secs_f64() / f64::from(config.servers_of_shard().max(1))
    );
    println!(
        "  this machine  can offer {} events/s of this kind with nothing beside it: the peak needs {:.0} %",
        rate(capacity.events_per_second),
        100.0 * shown.peak_per_s / capacity.events_per_second
    );
    for phase in &config.phases {
        println!("  phase       {} from {} to {}", phase.name, words::duration(phase.from), words::duration(phase.to));
    }
    for slo in &config.slos {
        println!("  rule        {slo}");
    }
    for note in stretch.map(|stretch| stretch.to_string()).iter().chain(&shown.notes) {
        println!("  note        {note}");
    }
    println!("  settings    {} (see --json)", config.hash());
    Ok(())
}

fn list() {
    println!("Scenarios (--workload NAME; print one with --show NAME):");
    for name in scenario::names() {
        let about = scenario::load(Some(name), &Flags::default()).map(|loaded| loaded.config.about).unwrap_or_default();
        println!("  {name:<16} {about}");
    }
    println!("Profiles (--profile NAME): {}", PROFILES.join(", "));
    let models: Vec<_> = Model::built_in().map(|(name, _)| name).collect();
    println!("Models (--model NAME; print one with --show-model NAME): {}", models.join(", "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_a_short_run_can_not_break_is_told_of() {
        let noted = |run_time: &str| {
            let flags = serde_json::json!({ "run_time": run_time });
            let config = scenario::load(Some("launch"), &flags).map(|loaded| loaded.config.resolved());
            notes(&config.expect("built in"), 2.0)
        };
        assert_eq!(noted("10m"), [""; 0]);
        let [note] = &noted("60s")[..] else { panic!("{:?}", noted("60s")) };
        assert!(note.starts_with("`recovery-time < 60s` can't fail, since the run ends 34 s after"), "{note}");
    }
}
