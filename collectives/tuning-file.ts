/**
 * A tuning table as YAML, for people: read with the line of whatever is wrong, and written so that a
 * person can change it.
 */
import { Document, isMap, isNode, LineCounter, parseDocument, visit } from 'yaml';
import { GiB, KiB, MiB } from '../common/bytes.ts';
import { HlsimError } from '../common/errors.ts';
import { wordOfCollective } from './names.ts';
import type { Range, TuningRule, TuningTable } from './tuner.ts';
import { type Path, parseTuningTable } from './tuning-table.ts';

/** Far more than `TUNING_RULES_MAX` sensible rules need. */
export const TUNING_FILE_BYTES_MAX = 4 * MiB;

const HEADER = ` Tuning table of hlsim: the first rule that fits decides how a call is carried out.
 Ranges include both ends, and one that is absent is no limit. Bytes are nccl-tests' size.
 What no rule fits, hlsim's built-in table decides.`;

/**
 * Reads a table from YAML (JSON is YAML too).
 *
 * @throws HlsimError `HLSIM_CONFIG` for the first thing that is wrong, with its line
 */
export function readTuningFile(text: string): TuningTable {
  if (text.length > TUNING_FILE_BYTES_MAX) {
    throw new HlsimError(
      'HLSIM_CONFIG',
      `Expected a tuning table of at most ${TUNING_FILE_BYTES_MAX} bytes but found ${text.length}`,
    );
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line } = lines.linePos(error.pos[0]);
    throw new HlsimError(
      'HLSIM_CONFIG',
      `Expected a tuning table in YAML but found an error in line ${line}: ${error.message}`,
      { fields: { line } },
    );
  }
  const lineOf = (path: Path): string => {
    const node = document.getIn(path, true) ?? document.getIn(path.slice(0, -1), true);
    const start = isNode(node) ? node.range?.[0] : undefined;
    return start === undefined ? '' : ` (line ${lines.linePos(start).line})`;
  };
  return parseTuningTable(plainData(document), lineOf);
}

/** The table as YAML; `readTuningFile` gives it back. */
export function writeTuningFile(table: TuningTable): string {
  const document = new Document({ rules: table.rules.map(ruleForPeople) });
  document.commentBefore = HEADER;
  visit(document, {
    Pair(_, { value }) {
      if (isMap(value)) value.flow = true;
    },
  });
  return document.toString({ lineWidth: 100 });
}

/** Aliases that multiply without end are refused by the package. */
function plainData(document: Document): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw new HlsimError(
      'HLSIM_CONFIG',
      `Expected a tuning table without many aliases but found: ${String(cause)}`,
      { cause },
    );
  }
}

function ruleForPeople({ collective, bytes, sliceBytes, ...rest }: TuningRule): object {
  return {
    collective: wordOfCollective(collective),
    ...(bytes === undefined ? {} : { bytes: sizes(bytes) }),
    ...rest,
    ...(sliceBytes === undefined ? {} : { sliceBytes: sizeText(sliceBytes) }),
  };
}

function sizes({ from, to }: Range): object {
  return {
    ...(from === undefined ? {} : { from: sizeText(from) }),
    ...(to === undefined ? {} : { to: sizeText(to) }),
  };
}

/** `65536` -> `64K`; what is no whole number of a unit stays a number. */
function sizeText(bytes: number): string | number {
  const units = [
    ['G', GiB],
    ['M', MiB],
    ['K', KiB],
  ] as const;
  const unit = units.find(([, size]) => bytes >= size && bytes % size === 0);
  return unit === undefined ? bytes : `${bytes / unit[1]}${unit[0]}`;
}
