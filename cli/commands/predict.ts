/** `hlsim predict`: how long a collective takes on boxes that are not here, in virtual time, and why. */
import { Command } from 'commander';
import type { ExperimentCase } from '../../timing/experiment/experiment.ts';
import { Sweeper } from '../../timing/sweep.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, readFlags, usageError } from '../flags.ts';
import { expectWritable, openJsonFile } from '../json-file.ts';
import { hlsimVersion } from '../package-files.ts';
import { runExperiment } from '../predict-experiment.ts';
import { explanationText } from '../predict-explain.ts';
import {
  caseOfFlags,
  expectNoneOf,
  type PredictFlagValues,
  predictFlags,
  resultFlags,
  sweepFlags,
} from '../predict-flags.ts';
import { InputFiles } from '../predict-inputs.ts';
import { caseJson } from '../predict-json.ts';
import { caseObserver } from '../predict-observer.ts';
import { writeResult } from '../predict-output.ts';
import { drawPrediction } from '../predict-plots.ts';
import { lastRequest, planCase, runCase } from '../predict-run.ts';
import { expectNoneStuck } from '../predict-stuck.ts';
import { caseFooter, caseHeader } from '../predict-table.ts';
import { traceOf } from '../predict-trace.ts';
import { COLLECTIVES_HELP } from '../schedule-flags.ts';

export function predictCommand(context: CommandContext): Command {
  const command = new Command('predict')
    .description(
      'Predict a collective on boxes that are not here (virtual time of a model), and say why',
    )
    .argument('[collective]', COLLECTIVES_HELP);
  addFlags(command, predictFlags).addHelpText(
    'after',
    `
Every program is proved before it is predicted. Beside each time is the lower bound that no algorithm can
beat on this network, and what part of it is reached. Parameters without a public source are listed as
assumed: what depends on them is no better than they are.

Examples:
  hlsim predict all_reduce --topology hls2 -b 1K -e 1G -f 4
  hlsim predict all_reduce --topology hls2 --boxes 1,2,4..256 --algorithm hccl --svg scaling.svg
  hlsim predict all_reduce --topology hls3 --boxes 4 --algorithm all -b 64M -e 64M --explain
  hlsim predict all_reduce --topology hls2 --boxes 2 --straggler rank=3,slow=2x --jitter 0.1 --runs 200
  hlsim predict all_gather --topology boxes.yaml --schedule allgather.xml --trace trace.json
  hlsim predict --experiment scaling.yaml --output results/`,
  );
  return command.action(async (word: string | undefined) => {
    const flags = readFlags(command, predictFlags);
    if (flags.experiment !== undefined) {
      await experiment(word, flags, flags.experiment, context);
      return;
    }
    if (flags.output !== undefined) {
      throw usageError(
        'Expected --output only with --experiment but found it without: use --json and --svg',
      );
    }
    if (word === undefined) {
      throw usageError(
        `Expected a collective, ${COLLECTIVES_HELP}, or --experiment but found neither`,
      );
    }
    await predictCase(caseOfFlags(word, flags), flags, context);
  });
}

async function experiment(
  word: string | undefined,
  flags: PredictFlagValues,
  path: string,
  context: CommandContext,
): Promise<void> {
  if (word !== undefined) {
    throw usageError(
      `Expected --experiment without a collective, which it names, but found ${word}`,
    );
  }
  type SweepFlag = keyof typeof sweepFlags;
  expectNoneOf(flags, Object.keys(sweepFlags) as SweepFlag[], '--experiment');
  const unused = (Object.keys(resultFlags) as (keyof typeof resultFlags)[]).find(
    (name) => flags[name] !== undefined,
  );
  if (unused !== undefined) {
    throw usageError(
      `Expected --experiment without --${unused} but found both: its results go to --output`,
    );
  }
  if (flags.output === undefined) {
    throw usageError(
      'Expected --output <folder> with --experiment, for its results, but found none',
    );
  }
  await runExperiment(path, flags.output, context);
}

async function predictCase(
  asked: ExperimentCase,
  flags: PredictFlagValues,
  context: CommandContext,
): Promise<void> {
  const json = flags.json === undefined ? undefined : openJsonFile(flags.json);
  const svg = flags.svg === undefined ? undefined : expectWritable('svg', flags.svg);
  const trace = flags.trace === undefined ? undefined : expectWritable('trace', flags.trace);
  const sweeper = new Sweeper();
  const planned = await planCase(asked, new InputFiles('.'), sweeper);
  const { settings } = planned;
  const { terminal, scheduler } = context;
  const observer = caseObserver(terminal, scheduler.clock, (line) => terminal.result(line));
  terminal.result(caseHeader(settings));
  const result = runCase(planned, sweeper, observer);
  terminal.settle();
  terminal.result(caseFooter(result));
  const last = lastRequest(planned, result.sections, sweeper);
  if (result.explanation !== undefined && last !== undefined) {
    terminal.result(explanationText(result.explanation, last.row, settings));
  }
  json?.write({ hlsimVersion: hlsimVersion(), ...caseJson(result) });
  if (svg !== undefined) writeResult(svg, drawPrediction(result));
  if (trace !== undefined) {
    if (last === undefined) return expectNoneStuck([result]);
    observer.progress('tracing the last row', 0);
    writeResult(trace, traceOf(last.request, last.row, settings));
    terminal.settle();
  }
  expectNoneStuck([result]);
}
