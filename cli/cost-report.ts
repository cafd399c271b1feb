/** How `hlsim cost` shows what it found, for people and as JSON. */
import type { RankCost } from '../collectives/cost.ts';
import type { AlphaBetaGamma, CriticalStep, WaitedFor } from '../collectives/critical-path.ts';
import { describeStep } from '../collectives/print-program.ts';
import { formatBytes } from '../common/bytes.ts';
import type { Priced } from './cost-run.ts';
import { timeText } from './model-readers.ts';
import { renderTable } from './table.ts';
import { counted } from './wording.ts';

/** Ranks, and steps of the critical path, that people get to see; the JSON file has all of them. */
const RANKS_SHOWN_MAX = 16;
const STEPS_SHOWN_MAX = 24;

const WAITED_FOR: Readonly<Record<WaitedFor, string>> = {
  start: '',
  step: 'the step before',
  depends: 'a step of another channel',
  message: 'its message',
  receiver: 'the receiver',
  sendPort: 'the sending port',
  receivePort: "the receiver's port",
  reduction: 'another reduction',
};

export const CLOCK_NOTE = 'Virtual time of a model, not a measurement.';

/** `model: α 5 us, 0.1 ns/B (10 GB/s), γ 0.01 ns/B`. */
export function modelLine(model: AlphaBetaGamma): string {
  const { alphaSeconds, betaSecondsPerByte, gammaSecondsPerByte } = model;
  return (
    `α ${timeText(alphaSeconds)} a message, β ${perByte(betaSecondsPerByte)} sent, ` +
    `γ ${perByte(gammaSecondsPerByte)} reduced`
  );
}

/** One schedule in full. */
export function costLines({ programs, ports, bytes, cost, closedForm }: Priced): string[] {
  const { most, ranks, seconds, critical, criticalPath } = cost;
  const total = (field: keyof RankCost): number => ranks.reduce((sum, one) => sum + one[field], 0);
  const { alphas, bytes: sent, reducedBytes } = critical;
  const parts = `${alphas}α + ${share(sent, bytes)}nβ + ${share(reducedBytes, bytes)}nγ`;
  const facts = [
    ['predicted time', timeText(seconds)],
    ['closed form', closedForm === undefined ? 'none for this' : formText(closedForm, seconds)],
    ['ports', ports],
    ['critical path', `${parts}, n = ${bytes} bytes`],
    ['steps', `${most.steps} of a rank at most, ${total('steps')} in all`],
    ['messages', `${most.messages} of a rank at most, ${total('messages')} in all`],
    ['bytes on the wire', amounts(most.sentBytes, total('sentBytes'))],
    ['bytes reduced', amounts(most.reducedBytes, total('reducedBytes'))],
  ];
  return [
    ...facts.map(([name = '', value = '']) => `  ${name.padEnd(18)} ${value}`),
    '',
    rankTable(ranks),
    '',
    'Critical path:',
    pathTable(criticalPath, programs),
  ];
}

/** All algorithms of a collective, one a line. */
export function comparisonTable(all: readonly Priced[]): string {
  const rows = all.map(({ algorithm, ports, cost, closedForm }) => [
    algorithm,
    String(cost.most.steps),
    String(cost.most.messages),
    formatBytes(cost.most.sentBytes),
    formatBytes(cost.most.reducedBytes),
    ports,
    timeText(cost.seconds),
    closedForm === undefined ? '' : timeText(closedForm.seconds),
    closedForm?.text ?? '',
  ]);
  return renderTable(
    [
      'ALGORITHM',
      'STEPS',
      'MESSAGES',
      'SENT BY A RANK',
      'REDUCED',
      'PORTS',
      'TIME',
      'CLOSED FORM',
      '',
    ],
    rows,
  );
}

/** What `--json` gets of one schedule. */
export function costJson({ algorithm, ports, bytes, cost, closedForm }: Priced): object {
  const { seconds, ranks, most, critical, criticalPath } = cost;
  return {
    ...{ algorithm, ports, bytes, seconds, closedForm: closedForm ?? null, most, ranks, critical },
    criticalPath,
  };
}

function rankTable(ranks: readonly RankCost[]): string {
  const rows = ranks
    .slice(0, RANKS_SHOWN_MAX)
    .map(({ steps, messages, sentBytes, reducedBytes }, rank) =>
      [rank, steps, messages, sentBytes, reducedBytes].map(String),
    );
  const table = renderTable(['RANK', 'STEPS', 'MESSAGES', 'BYTES SENT', 'BYTES REDUCED'], rows);
  const more = ranks.length - rows.length;
  return more <= 0 ? table : `${table}\nand ${counted(more, 'rank')} more`;
}

function pathTable(path: readonly CriticalStep[], programs: readonly Program[]): string {
  const half = STEPS_SHOWN_MAX / 2;
  const shown =
    path.length <= STEPS_SHOWN_MAX ? path : [...path.slice(0, half), ...path.slice(-half)];
  const rows = shown.map(({ rank, channel, step, waitedFor, beginSeconds, endSeconds }) => {
    const what = programs[rank]?.channels[channel]?.steps[step];
    return [
      timeText(beginSeconds),
      timeText(endSeconds),
      `${rank}`,
      `${channel}.${step}`,
      what === undefined ? '' : describeStep(what),
      WAITED_FOR[waitedFor],
    ];
  });
  if (shown.length < path.length) {
    const omitted = path.length - shown.length;
    rows.splice(half, 0, [`... ${counted(omitted, 'step')} left out`]);
  }
  return renderTable(['FROM', 'TO', 'RANK', 'STEP', 'WHAT', 'WAITED FOR'], rows);
}

type Program = Priced['programs'][number];

function formText({ text, seconds }: NonNullable<Priced['closedForm']>, found: number): string {
  const difference = seconds === 0 ? 0 : found / seconds - 1;
  const isSame = Math.abs(difference) < 1e-9;
  const note = isSame ? 'the same' : `${(100 * difference).toPrecision(2)} % off`;
  return `${timeText(seconds)} = ${text} (${note})`;
}

function amounts(most: number, total: number): string {
  return `${formatBytes(most)} of a rank at most, ${formatBytes(total)} in all`;
}

/** As a fraction of n, four digits. */
function share(bytes: number, n: number): string {
  return n === 0 ? '0' : String(Number((bytes / n).toPrecision(4)));
}

function perByte(seconds: number): string {
  const nanoseconds = Number((seconds * 1e9).toPrecision(4));
  const gigabytes = Number((1e-9 / seconds).toPrecision(4));
  return `${nanoseconds} ns a byte${seconds === 0 ? '' : ` (${gigabytes} GB/s)`}`;
}
