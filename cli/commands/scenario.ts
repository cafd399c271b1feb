/** `hlsim scenario`: the things that went wrong with shared device memory, as plays on real hosts. */
import { Argument, Command } from 'commander';
import { findScenario, SCENARIOS } from '../../scenarios/catalog.ts';
import type { Scenario } from '../../scenarios/scenario.ts';
import {
  joinTimeoutFlag,
  jsonFileFlag,
  logLevelFlag,
  optionalOwnershipFlag,
} from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, type FlagValues, readFlags, toggle, usageError } from '../flags.ts';
import { openJsonFile } from '../json-file.ts';
import { runScenario, type ScenarioRun } from '../scenario-run.ts';
import { renderTable } from '../table.ts';
import { counted } from '../wording.ts';

/** Instead of a name: one after the other. */
const ALL = 'all';

const listFlags = {
  json: toggle({
    name: 'json',
    description: 'print JSON',
    environment: 'HLSIM_SCENARIO_LIST_JSON',
  }),
} as const;

const runFlags = {
  ownership: optionalOwnershipFlag('its own default of each scenario'),
  json: jsonFileFlag,
  joinTimeout: joinTimeoutFlag,
  logLevel: logLevelFlag,
} as const;

export function scenarioCommand(context: CommandContext): Command {
  return new Command('scenario')
    .description('Play what went wrong with shared device memory, on real hosts')
    .addCommand(listCommand(context))
    .addCommand(runCommand(context))
    .addHelpText(
      'after',
      `
Examples:
  hlsim scenario list
  hlsim scenario run exfiltration
  hlsim scenario run exfiltration --ownership none`,
    );
}

function listCommand(context: CommandContext): Command {
  const command = new Command('list').description('List every scenario');
  addFlags(command, listFlags).addHelpText(
    'after',
    `
Examples:
  hlsim scenario list
  hlsim scenario list --json`,
  );
  return command.action(() => {
    const { terminal } = context;
    if (readFlags(command, listFlags).json) terminal.result(JSON.stringify(SCENARIOS.map(asJson)));
    else terminal.result(table());
  });
}

function asJson({ run, ...rest }: Scenario) {
  return rest;
}

function table(): string {
  const rows = SCENARIOS.map(({ id, name, ownership, title }) => [id, name, ownership, title]);
  return renderTable(['ID', 'NAME', 'OWNERSHIP', 'WHAT HAPPENS'], rows);
}

function runCommand(context: CommandContext): Command {
  const names = new Argument('<name...>', `names or numbers of scenarios, or ${ALL}`);
  const command = new Command('run').description('Run scenarios').addArgument(names);
  addFlags(command, runFlags).addHelpText(
    'after',
    `
Each starts a small cluster of its own, prints who did what and what the kernel answered, and ends with
a verdict. The exit code is 0 if every verdict is what the policy promises; that of exfiltration under
--ownership none is that the secret is stolen.

Examples:
  hlsim scenario run exfiltration
  hlsim scenario run exfiltration --ownership none
  hlsim scenario run R2 R19 --json verdicts.json
  hlsim scenario run all`,
  );
  return command.action(async (wanted: string[]) => {
    context.exitCode = await runAll(wanted, readFlags(command, runFlags), context);
  });
}

async function runAll(
  wanted: readonly string[],
  flags: FlagValues<typeof runFlags>,
  context: CommandContext,
): Promise<number> {
  const scenarios = wanted.flatMap((name) => selected(name, flags, context));
  const file = flags.json === undefined ? undefined : openJsonFile(flags.json);
  const plays = scenarios.map((scenario) => ({ scenario, ownership: policyOf(scenario, flags) }));
  const runs: ScenarioRun[] = [];
  for (const { scenario, ownership } of plays) {
    const settings = { ownership, joinTimeoutMs: flags.joinTimeout, logLevel: flags.logLevel };
    runs.push(await runScenario(scenario, settings, context));
  }
  file?.write({ scenarios: runs });
  const surprises = runs.filter(({ verdict }) => verdict.held !== (verdict.expected === 'held'));
  if (runs.length > 1) {
    const names = surprises.map(({ name }) => name).join(', ');
    context.terminal.result(
      `\n${counted(runs.length, 'scenario')}, ${surprises.length} with an unexpected verdict${names && `: ${names}`}`,
    );
  }
  return surprises.length === 0 ? 0 : 1;
}

/** `all` is all that say something under the policy that was asked for. */
function selected(
  name: string,
  { ownership }: FlagValues<typeof runFlags>,
  { terminal }: CommandContext,
): readonly Scenario[] {
  if (name === ALL) {
    const silent = SCENARIOS.filter(
      ({ policies }) => ownership !== undefined && !policies.includes(ownership),
    );
    const names = silent.map((one) => one.name).join(', ');
    if (names !== '') terminal.note(`Left out, as they say nothing under ${ownership}: ${names}`);
    return SCENARIOS.filter((one) => !silent.includes(one));
  }
  const found = findScenario(name);
  if (found !== undefined) return [found];
  throw usageError(
    `Expected the name of a scenario but found ${JSON.stringify(name)}, see hlsim scenario list`,
  );
}

function policyOf(scenario: Scenario, flags: FlagValues<typeof runFlags>) {
  const { ownership = scenario.ownership } = flags;
  if (scenario.policies.includes(ownership)) return ownership;
  throw usageError(
    `Expected scenario ${scenario.name} with --ownership ${scenario.policies.join(' or ')} but found ${ownership}: it says nothing under that policy`,
  );
}
