/** A scenario as people read it: numbered steps, remarks between them, a verdict. */
import type { ScenarioReport, StepReport, VerdictReport } from './report.ts';

/** The lines of one report. */
export function renderReport(report: ScenarioReport): string {
  switch (report.kind) {
    case 'step':
      return renderStep(report);
    case 'remark':
      return `      ${report.text}`;
    case 'verdict':
      return renderVerdict(report);
  }
}

/** `  3. A (pid 102 in tenant-a, host 0) exports 64 KiB as a dma-buf -> fd 1`. */
function renderStep({ index, actor, action, answer }: StepReport): string {
  const who =
    actor === null
      ? 'the operator'
      : `${actor.name} (pid ${actor.pid} in ${actor.containerId}, host ${actor.host})`;
  return `${String(index).padStart(4)}. ${who} ${action} -> ${answer}`;
}

function renderVerdict({ held, expected, sentence }: VerdictReport): string {
  const word = held ? 'HELD' : 'BROKEN';
  const surprise = held === (expected === 'held') ? '' : ' (not what this policy promises)';
  return `\nVerdict: ${word}${surprise}. ${sentence}`;
}
