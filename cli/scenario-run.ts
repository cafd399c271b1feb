/** One scenario as a job of a cluster of its own: the transcript while it runs, the verdict at the end. */
import { HlsimError } from '../common/errors.ts';
import type { OwnershipPolicy } from '../node/device/ownership.ts';
import { renderReport } from '../scenarios/render.ts';
import { type ScenarioReport, scenarioReport, type VerdictReport } from '../scenarios/report.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import { failureOfJob, runJob } from './cluster-session.ts';
import type { CommandContext } from './context.ts';
import { TemporaryCluster } from './temporary-cluster.ts';

/** HBM of each device: room for what any scenario allocates. */
const HBM_BYTES = 256 * 1024 * 1024;
/** Nobody wants to watch a driver that waits for a minute. */
const RESET = { graceMs: 200, waitMs: 500, trials: 3 };

export interface ScenarioRun {
  readonly id: string;
  readonly name: string;
  readonly title: string;
  readonly ownership: OwnershipPolicy;
  readonly reports: readonly ScenarioReport[];
  readonly verdict: VerdictReport;
}

export interface ScenarioSettings {
  readonly ownership: OwnershipPolicy;
  readonly joinTimeoutMs: number;
  readonly logLevel: string | undefined;
}

/**
 * Runs a scenario and prints its transcript.
 *
 * @throws HlsimError why the play could not go on; an attack that succeeds is a verdict, no error
 */
export function runScenario(
  scenario: Scenario,
  settings: ScenarioSettings,
  context: CommandContext,
): Promise<ScenarioRun> {
  const { ownership, joinTimeoutMs, logLevel } = settings;
  const { hosts, devices } = scenario;
  const cluster = { hosts, devices, hbmBytes: HBM_BYTES, reset: RESET, token: undefined };
  return TemporaryCluster.use(
    { ...cluster, ownership, joinTimeoutMs, logLevel },
    context,
    async (client) => {
      const { terminal } = context;
      terminal.result(`\n${scenario.id} ${scenario.name}, ownership ${ownership}`);
      terminal.result(
        `${scenario.title}\nQuestion: ${scenario.question}\nAt risk: ${scenario.risk}\nSource: ${scenario.source}\n`,
      );
      const reports: ScenarioReport[] = [];
      const outcome = await runJob(
        client,
        { spec: jobOf(scenario, ownership), hosts, joinTimeoutMs },
        {
          report(_rank, found) {
            const report = scenarioReport.parse(found);
            reports.push(report);
            terminal.result(renderReport(report));
          },
          output: (rank, _stream, text) => terminal.note(`[${rank}] ${text.trimEnd()}`),
        },
        context,
      );
      const failure = failureOfJob(outcome);
      if (failure !== undefined) throw failure;
      const { id, name, title } = scenario;
      return { id, name, title, ownership, reports, verdict: verdictOf(scenario, reports) };
    },
  );
}

function jobOf({ name }: Scenario, ownership: OwnershipPolicy) {
  return {
    program: 'builtin:scenario',
    arguments: [JSON.stringify({ name, ownership })],
    environment: { HCL_FABRIC_FLUSH: name === 'flush' ? '1' : '0' },
    privileged: true,
  };
}

function verdictOf({ name }: Scenario, reports: readonly ScenarioReport[]): VerdictReport {
  const verdict = reports.find((report) => report.kind === 'verdict');
  if (verdict !== undefined) return verdict;
  throw new HlsimError('HLSIM_INTERNAL', `Expected scenario ${name} to end with a verdict`);
}
