/** A seed runs twice, and both runs must be the same to the last event (I41). */
import type { SimulationOptions } from './options.ts';
import { reproduction } from './options.ts';
import { complaint, type RunResult, runSeed } from './run.ts';

const STACK_FRAMES = 30;

export interface SeedReport {
  readonly seed: number;
  readonly digest: string;
  readonly histogram: Readonly<Record<string, number>>;
  /** How often each invariant was looked at. */
  readonly checks: RunResult['checks'];
  readonly accesses: number;
  /** What is wrong, with the command that shows it again. */
  readonly complaint: string | undefined;
}

export async function verifySeed(options: SimulationOptions): Promise<SeedReport> {
  const again = `To see it again: ${reproduction(options)}`;
  const limit = Error.stackTraceLimit;
  // Failing system calls are common here, and their stacks cost more than the calls.
  Error.stackTraceLimit = 0;
  try {
    const first = await runSeed(options);
    const wrong = complaint(first);
    if (wrong !== undefined) return reportOf(options, first, `${wrong}\n${again}`);
    const second = await runSeed(options);
    const checks = { ...first.checks, I41: 1 };
    const differs =
      first.digest === second.digest ? undefined : `${divergence(first, second)}\n${again}`;
    return { ...reportOf(options, first, differs), checks };
  } catch {
    Error.stackTraceLimit = STACK_FRAMES;
    const text = await crashOf(options);
    const nothing = { digest: '', histogram: {}, checks: {}, accesses: 0 };
    return { seed: options.seed, ...nothing, complaint: `It crashed: ${text}\n${again}` };
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** The same crash once more, with a stack. */
async function crashOf(options: SimulationOptions): Promise<string> {
  try {
    await runSeed(options);
    return 'and not a second time, which violates I41';
  } catch (reason) {
    return reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
  }
}

function reportOf(
  { seed }: SimulationOptions,
  run: RunResult,
  wrong: string | undefined,
): SeedReport {
  const { digest, histogram, checks, accesses } = run;
  return { seed, digest, histogram, checks, accesses, complaint: wrong };
}

/** The first event in which two runs differ. */
function divergence(first: RunResult, second: RunResult): string {
  const at = first.trace.findIndex((line, index) => line !== second.trace[index]);
  const before = first.trace.slice(Math.max(0, at - 3), at).join('\n  ');
  return `I41 is violated: two runs differ at event ${at}\n  ${before}\n- ${first.trace[at]}\n+ ${second.trace[at]}`;
}
