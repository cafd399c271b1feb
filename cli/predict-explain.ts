/** `--explain` for people: sentences, parts, links, and what would help. */
import { formatBytes } from '../common/bytes.ts';
import { type ExperimentCase, wordOfModel } from '../timing/experiment/experiment.ts';
import type { Explanation } from '../timing/explain/explain.ts';
import type { SweepRow } from '../timing/sweep.ts';
import { timeText } from './model-readers.ts';
import { renderTable } from './table.ts';
import { counted } from './wording.ts';

/** Below the table. */
export function explanationText(
  { seconds, sentences, breakdown, busiest, sensitivities }: Explanation,
  row: SweepRow,
  { collective }: ExperimentCase,
): string {
  const { algorithm, bytes, nranks, model, bound } = row;
  return [
    '',
    `Why ${algorithm} ${collective} of ${formatBytes(bytes)} on ${counted(nranks, 'rank')} takes ${timeText(seconds)} (${wordOfModel(model)}):`,
    '',
    'Critical path, what held up the end:',
    ...sentences.map((sentence) => `  ${sentence}`),
    '',
    `The path by what it was spent on (adds up to ${timeText(seconds)}):`,
    indented(
      renderTable(
        ['ON', 'TIME', 'SHARE'],
        breakdown.map(({ name, seconds: part, share }) => [name, timeText(part), percent(share)]),
      ),
    ),
    '',
    `Lower bound: ${timeText(bound.seconds)}, ${bound.cut}`,
    '',
    'Busiest links:',
    indented(
      renderTable(
        ['LINK', 'CLASS', 'ALIKE', 'BYTES', 'UTILISATION'],
        busiest.map(({ name, kind, alike, bytes: carried, utilisation }) => [
          name,
          kind,
          `${alike}`,
          formatBytes(carried),
          percent(utilisation),
        ]),
      ),
    ),
    '',
    'One parameter better, by a tenth or as far as it can be, all else as it is:',
    indented(
      renderTable(
        ['PARAMETER', 'CHANGED BY', 'TIME', 'CHANGE'],
        sensitivities.map(({ parameter, factor, seconds: changed, change }) => [
          parameter,
          signedPercent(factor - 1),
          timeText(changed),
          signedPercent(change),
        ]),
      ),
    ),
  ].join('\n');
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** `-8.3 %`; a change that rounds to nothing has no sign. */
function signedPercent(share: number): string {
  const text = (100 * share).toFixed(2);
  if (Number(text) === 0) return '0 %';
  return `${share > 0 ? '+' : ''}${text} %`;
}
