/** From the flags of `hlsim bench` to a sweep: the wrong combinations, and the files that flags name. */
import { expectOperands } from '../bench/operand-jobs.ts';
import type { BenchOptions } from '../bench/options.ts';
import { benchSizes } from '../bench/sizes.ts';
import { BLOCKS } from '../collectives/collective.ts';
import { COLLECTIVE_WORDS, type CollectiveWord } from '../collectives/names.ts';
import { algorithmsFor, buildSchedule } from '../collectives/table.ts';
import { type BenchFlagValues, dataTypesOf, reduceOpsOf } from './bench-flags.ts';
import { scheduleOf } from './bench-schedule.ts';
import { usageError } from './flags.ts';
import { progressEnvironment } from './progress.ts';
import { providerEnvironment } from './provider.ts';
import { readTuningTable } from './tuning-table-file.ts';

/** nccl-tests' default step when neither -i nor -f is given. */
const STEP_BYTES_DEFAULT = 1024 * 1024;
/** What a schedule file decides. */
const SCHEDULE_DECIDES = ['algorithm', 'channels', 'chunks', 'tuning'] as const;
/** What has no meaning for messages between two ranks. */
const COLLECTIVES_ONLY = [...SCHEDULE_DECIDES, 'slice', 'schedule'] as const;

/** A sweep and the variables of its job. */
export interface Sweep {
  readonly options: BenchOptions;
  readonly environment: Readonly<Record<string, string>>;
}

/** @throws HlsimError `HLSIM_USAGE` for flags that do not fit together, or what reading a file says */
export async function sweepOf(word: string, flags: BenchFlagValues): Promise<Sweep> {
  const collective = collectiveWord(word);
  checkAlgorithm(collective, flags);
  const nranks = ranksOf(flags);
  const schedule = await scheduleOf({ collective, path: flags.schedule, root: flags.root, nranks });
  const tuning = flags.tuning === undefined ? undefined : await readTuningTable(flags.tuning);
  const { algorithm, channels, chunks, slice } = flags;
  const options: BenchOptions = {
    collective,
    ...stepsOf(flags),
    iterations: flags.iterations,
    warmupIterations: flags.warmupIterations,
    ...(flags.blocking === '1' ? { blocking: true } : {}),
    dataTypes: dataTypesOf(flags),
    reduceOps: reduceOpsOf(flags),
    root: flags.root,
    check: flags.check === '1',
    digest: flags.bitwise !== undefined,
    ...(algorithm === undefined ? {} : { algorithm }),
    ...(channels === undefined ? {} : { channels }),
    ...(chunks === undefined ? {} : { chunks }),
    ...(slice === undefined ? {} : { sliceBytes: slice }),
    ...schedule,
  };
  if (nranks !== undefined) expectOperands(benchSizes(options, nranks), nranks);
  const environment = {
    ...(tuning === undefined ? {} : { HLSIM_TUNING: JSON.stringify(tuning) }),
    ...(flags.strict ? { HCCL_STRICT: '1' } : {}),
    ...providerEnvironment(flags),
    ...progressEnvironment(flags),
  };
  return { options, environment };
}

function collectiveWord(word: string): CollectiveWord {
  const words = Object.keys(COLLECTIVE_WORDS) as CollectiveWord[];
  const known = words.find((name) => name === word);
  if (known !== undefined) return known;
  throw usageError(
    `Expected the collective to be one of ${words.join(', ')} but found ${JSON.stringify(word)}`,
  );
}

/** Ranks that the cluster will have; `undefined`: as many as it has already. */
function ranksOf({ hosts, devices = 1, coordinator }: BenchFlagValues): number | undefined {
  return coordinator === undefined && hosts !== undefined ? hosts * devices : undefined;
}

function checkAlgorithm(word: CollectiveWord, flags: BenchFlagValues): void {
  const collective = COLLECTIVE_WORDS[word];
  const { algorithm, root, schedule } = flags;
  const nranks = ranksOf(flags);
  if (BLOCKS[collective].rooted && nranks !== undefined && root >= nranks) {
    throw usageError(`Expected -r, --root below ${nranks}, the number of ranks, but found ${root}`);
  }
  const given = (names: readonly (typeof COLLECTIVES_ONLY)[number][]) =>
    names.find((name) => flags[name] !== undefined);
  const unused = collective === 'sendRecv' ? given(COLLECTIVES_ONLY) : undefined;
  if (unused !== undefined) {
    throw usageError(
      `Expected ${word} without --${unused} but found it: its ranks send each other messages, which no algorithm carries out`,
    );
  }
  const decided = schedule === undefined ? undefined : given(SCHEDULE_DECIDES);
  if (decided !== undefined) {
    throw usageError(`Expected --schedule without --${decided}, which it decides, but found both`);
  }
  if (algorithm !== undefined) {
    checkAlgorithmName(word, algorithm);
    checkFits(word, algorithm, flags);
  }
}

/** A two-level one names its parts in parentheses. */
function checkAlgorithmName(word: CollectiveWord, algorithm: string): void {
  const names = algorithmsFor(COLLECTIVE_WORDS[word]);
  if (names.includes(algorithm.split('(')[0] ?? algorithm)) return;
  throw usageError(
    `Expected --algorithm to be one for ${word}, ${names.join(', ')}, but found ${JSON.stringify(algorithm)}`,
  );
}

/** What the ranks would find out, told before they are started; a host is a box. */
function checkFits(word: CollectiveWord, algorithm: string, flags: BenchFlagValues): void {
  const { hosts, devices: ranksPerBox = 1, chunks, channels, root } = flags;
  if (ranksOf(flags) === undefined || hosts === undefined) return;
  buildSchedule({
    collective: COLLECTIVE_WORDS[word],
    algorithm,
    topology: { boxes: hosts, ranksPerBox },
    ...(BLOCKS[COLLECTIVE_WORDS[word]].rooted ? { root } : {}),
    ...(chunks === undefined ? {} : { chunks }),
    ...(channels === undefined ? {} : { channels }),
  });
}

function stepsOf({
  minBytes,
  maxBytes,
  stepBytes,
  stepFactor,
}: BenchFlagValues): Pick<BenchOptions, 'minBytes' | 'maxBytes' | 'stepBytes' | 'stepFactor'> {
  if (minBytes > maxBytes) {
    throw usageError(
      `Expected -e, --maxbytes to be at least -b, --minbytes ${minBytes} but found ${maxBytes}`,
    );
  }
  if (stepBytes !== undefined && stepFactor !== undefined) {
    throw usageError('Expected either -i, --stepbytes or -f, --stepfactor but found both');
  }
  const step =
    stepFactor === undefined ? { stepBytes: stepBytes ?? STEP_BYTES_DEFAULT } : { stepFactor };
  return { minBytes, maxBytes, ...step };
}
