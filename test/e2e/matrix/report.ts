/** What a rank of the matrix says of a case: a line of its file. */
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';

const schema = z.strictObject({
  case: z.int(),
  /** SHA-256 of the rank's output. */
  digest: z.string(),
  /** Whether the input is as it was; null in place. */
  inputKept: z.boolean().nullable(),
  /** How HCCL says that it carried it out; null: it is no collective to it. */
  choice: z
    .object({ algorithm: z.string(), channels: z.int(), chunks: z.int().optional() })
    .nullable(),
});

export type CaseReport = Readonly<z.infer<typeof schema>>;

/** Beside the file with the cases. */
export function reportFile(casesFile: string, rank: number): string {
  return `${casesFile}.${rank}`;
}

export function reportLine(report: CaseReport): string {
  return `${JSON.stringify(report)}\n`;
}

/** A rank's reports by case; fewer than cases where it ended early. */
export function readReports(file: string): ReadonlyMap<number, CaseReport> {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  const reports = lines.map((line) => schema.parse(JSON.parse(line)));
  return new Map(reports.map((report) => [report.case, report]));
}
