/** `hlsim predict --experiment`: all cases of a file, their results, and one manifest that says what made them. */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { HlsimError, messageOf } from '../common/errors.ts';
import type { Experiment } from '../timing/experiment/experiment.ts';
import { readExperiment } from '../timing/experiment/experiment-file.ts';
import { Sweeper } from '../timing/sweep.ts';
import type { CommandContext } from './context.ts';
import { expectWritable } from './json-file.ts';
import { hlsimVersion } from './package-files.ts';
import { explanationText } from './predict-explain.ts';
import { InputFiles } from './predict-inputs.ts';
import { caseJson } from './predict-json.ts';
import { caseObserver } from './predict-observer.ts';
import { writeResult } from './predict-output.ts';
import { drawPrediction } from './predict-plots.ts';
import {
  type CaseResult,
  lastRequest,
  type PlannedCase,
  planCase,
  runCase,
} from './predict-run.ts';
import { expectNoneStuck } from './predict-stuck.ts';
import { caseFooter, caseHeader } from './predict-table.ts';

const MANIFEST = 'manifest.json';
const RESULTS = 'results.json';
const TABLES = 'tables.txt';

/** The same file gives the same bytes: nothing of the time of day, the machine or the folder is written. */
export async function runExperiment(
  path: string,
  output: string,
  context: CommandContext,
): Promise<void> {
  const inputs = new InputFiles(dirname(path));
  const file = basename(path);
  const experiment = readExperiment(await inputs.text(file, 'an experiment'), path);
  const sweeper = new Sweeper();
  const planned: PlannedCase[] = [];
  for (const one of experiment.cases) planned.push(await planCase(one, inputs, sweeper));
  const pictures = experiment.cases.map(({ name }) => `${name}.svg`);
  prepare(output, [MANIFEST, RESULTS, TABLES, ...pictures]);
  const { results, text } = predictAll(planned, sweeper, context);
  const files = new Map<string, string>([
    [RESULTS, json({ experiment: experiment.name, cases: results.map(caseJson) })],
    [TABLES, text],
    ...results.map((result): [string, string] => [
      `${result.settings.name}.svg`,
      drawPrediction(result),
    ]),
  ]);
  for (const [name, content] of files) writeResult(join(output, name), content);
  writeResult(join(output, MANIFEST), json(manifestOf(experiment, inputs, files)));
  context.terminal.result(
    `\n# Results: ${[...files.keys(), MANIFEST].map((name) => join(output, name)).join(', ')}`,
  );
  expectNoneStuck(results);
}

/** Shows the tables as they come, and keeps them. */
function predictAll(
  planned: readonly PlannedCase[],
  sweeper: Sweeper,
  { terminal, scheduler }: CommandContext,
): { readonly results: readonly CaseResult[]; readonly text: string } {
  const lines: string[] = [];
  const tell = (line: string): void => {
    lines.push(line);
    terminal.result(line);
  };
  const observer = caseObserver(terminal, scheduler.clock, tell);
  const results = planned.map((one, index) => {
    if (index > 0) tell('');
    tell(caseHeader(one.settings));
    const result = runCase(one, sweeper, observer);
    terminal.settle();
    tell(caseFooter(result));
    const last = lastRequest(one, result.sections, sweeper);
    if (result.explanation !== undefined && last !== undefined) {
      tell(explanationText(result.explanation, last.row, one.settings));
    }
    return result;
  });
  return { results, text: `${lines.join('\n')}\n` };
}

/** What made the results: files by their content, versions, seeds; and what they are, by theirs. */
function manifestOf(
  { name, description, cases }: Experiment,
  inputs: InputFiles,
  files: ReadonlyMap<string, string>,
): object {
  return {
    experiment: name,
    ...(description === undefined ? {} : { description }),
    clock: 'virtual',
    versions: { hlsim: hlsimVersion() },
    seeds: Object.fromEntries(
      cases.flatMap(({ name: one, jitter }) => (jitter === undefined ? [] : [[one, jitter.seed]])),
    ),
    inputs: inputs.list,
    outputs: [...files].map(([path, content]) => ({
      path,
      bytes: Buffer.byteLength(content),
      sha256: createHash('sha256').update(content).digest('hex'),
    })),
  };
}

/** @throws HlsimError `HLSIM_CONFIG` for a folder, `HLSIM_USAGE` for a file, that cannot be written */
function prepare(folder: string, names: readonly string[]): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new HlsimError(
      'HLSIM_CONFIG',
      `Expected --output to name a folder that can be made but found ${JSON.stringify(folder)}: ${messageOf(cause)}`,
      { cause },
    );
  }
  for (const name of names) expectWritable('output', join(folder, name));
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
