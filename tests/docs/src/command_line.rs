//! A program's commands and options as one Markdown page.

use clap::{Arg, Command};

use crate::{cell, code, prose, table};

/// The page of `program`, which is [built](Command::build).
pub fn render(program: &Command) -> String {
    let mut page = format!(
        "# `{}`\n\n<!-- Written by `just reference`. -->\n\n{}\n\n",
        program.get_name(),
        about(program)
    );
    let commands = leaves(program);
    let rows: Vec<_> = commands
        .iter()
        .map(|command| {
            let name = full_name(command);
            let link = format!("[`{name}`](#{})", name.replace(' ', "-"));
            [link, cell(&short(command.get_about()))]
        })
        .collect();
    page += &table(["command", "what it does"], &rows);
    let global: Vec<_> = shown(program).filter(|arg| arg.is_global_set()).collect();
    if !global.is_empty() {
        page += "## Options of every command\n\n";
        page += &arguments(&global);
    }
    for command in commands {
        page += &format!(
            "## `{}`\n\n{}\n\n```\n{}\n```\n\n",
            full_name(command),
            about(command),
            usage(command)
        );
        let own: Vec<_> = shown(command).filter(|arg| !arg.is_global_set()).collect();
        page += &arguments(&own);
    }
    page.trim_end().to_owned() + "\n"
}

/// The commands below `command` that do something, in the order of `--help`.
fn leaves(command: &Command) -> Vec<&Command> {
    let visible = |below: &&Command| !below.is_hide_set() && below.get_name() != "help";
    let below: Vec<_> = command.get_subcommands().filter(visible).collect();
    match below.is_empty() {
        true => vec![command],
        false => below.into_iter().flat_map(leaves).collect(),
    }
}

fn full_name(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    name.to_owned()
}

fn about(command: &Command) -> String {
    prose(&short(command.get_long_about().or(command.get_about())))
}

fn short(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    usage.trim_start_matches("Usage: ").to_owned()
}

/// What a person can write, without `--help` and `--version`.
fn shown(command: &Command) -> impl Iterator<Item = &Arg> {
    command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str()))
}

fn arguments(arguments: &[&Arg]) -> String {
    let rows: Vec<_> = arguments
        .iter()
        .map(|arg| [code(&spelling(arg)), meaning(arg)])
        .collect();
    table(["argument", "meaning"], &rows)
}

/// `-q, --quiet`, `--store <DIR>` or `<PROFILE>`.
fn spelling(arg: &Arg) -> String {
    // clap writes the value's name itself, and `[]` around what may be left out.
    let long = arg.to_string();
    match arg.get_short() {
        Some(letter) if !arg.is_positional() => format!("-{letter}, {long}"),
        _ => long,
    }
}

fn meaning(arg: &Arg) -> String {
    let mut parts = vec![cell(&short(arg.get_long_help().or(arg.get_help())))];
    if arg.get_action().takes_values() {
        let values: Vec<_> = arg
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| match value.get_help() {
                Some(help) => format!("{} ({})", code(value.get_name()), cell(&help.to_string())),
                None => code(value.get_name()),
            })
            .collect();
        if !values.is_empty() {
            parts.push(format!("One of: {}", values.join(", ")));
        }
        let defaults: Vec<_> = arg
            .get_default_values()
            .iter()
            .map(|value| code(&value.to_string_lossy()))
            .collect();
        if !defaults.is_empty() {
            parts.push(format!("Default: {}", defaults.join(", ")));
        }
    }
    if let Some(name) = arg.get_env() {
        parts.push(format!("Environment: {}", code(&name.to_string_lossy())));
    }
    parts.join(". ")
}
