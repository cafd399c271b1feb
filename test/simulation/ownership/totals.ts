/** Sums over many seeds. */
import { OPERATIONS } from './operations/operations.ts';
import type { SeedReport } from './verify-seed.ts';

export class Totals {
  seeds = 0;
  accesses = 0;
  readonly operations = new Map<string, number>(OPERATIONS.map(({ kind }) => [kind, 0]));
  readonly checks = new Map<string, number>();
  readonly complaints: string[] = [];

  add(report: SeedReport): void {
    this.seeds++;
    this.accesses += report.accesses;
    for (const [kind, count] of Object.entries(report.histogram)) {
      this.operations.set(kind, (this.operations.get(kind) ?? 0) + count);
    }
    for (const [invariant, count] of Object.entries(report.checks)) {
      this.checks.set(invariant, (this.checks.get(invariant) ?? 0) + (count ?? 0));
    }
    if (report.complaint !== undefined) {
      this.complaints.push(`seed ${report.seed}: ${report.complaint}`);
    }
  }

  /** Kinds of operations that never happened. */
  get missing(): string[] {
    return [...this.operations].filter(([, count]) => count === 0).map(([kind]) => kind);
  }

  /** The histogram, and how often each invariant was looked at. */
  render(): string {
    const count = [...this.operations.values()].reduce((sum, one) => sum + one, 0);
    const checks = [...this.checks].sort(([a], [b]) => Number(a.slice(1)) - Number(b.slice(1)));
    return [
      `${this.seeds} seeds, ${count} operations, ${this.accesses} accesses to device memory`,
      '',
      ...columns([...this.operations]),
      '',
      'Invariants, and how often each was looked at:',
      ...columns(checks),
    ].join('\n');
  }
}

const COLUMNS = 4;

function columns(pairs: readonly (readonly [string, number])[]): string[] {
  const cells = pairs.map(([name, count]) => `${name.padEnd(18)}${String(count).padStart(9)}`);
  const lines: string[] = [];
  for (let at = 0; at < cells.length; at += COLUMNS) {
    lines.push(`  ${cells.slice(at, at + COLUMNS).join('   ')}`.trimEnd());
  }
  return lines;
}
