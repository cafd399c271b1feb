/** The data plane's error tables as docs/errors.md shows them: rendered from the code's own data. */
import { ERRNO, type Errno } from '../common/errno.ts';
import {
  type ErrnoRow,
  MEMORY_ERRORS,
  RESET_ERRORS,
  SUBMISSION_ERRORS,
} from '../node/device/errno-tables.ts';
import { HLTHUNK_UNSUPPORTED } from '../node/device/hlthunk-unsupported.ts';
import { OPEN_ERRORS } from '../node/device/open-errors.ts';
import { FI_ERRNO_OF_ERRNO, FI_ERRNO_OF_STATUS } from '../node/fabric/error-map.ts';
import { FI_ERRNO } from '../node/fabric/fabric.ts';
import { LEFT_OUT } from '../node/fabric/left-out.ts';
import { IBV_WC_STATUS, type IbvWcStatus } from '../node/verbs/wc.ts';

export interface ErrorTable {
  readonly title: string;
  /** Where the data stands. */
  readonly source: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Every table, in the order of the document. */
export function errorTables(): readonly ErrorTable[] {
  return [
    errnoTable('Opening a device', 'node/device/open-errors.ts', OPEN_ERRORS),
    errnoTable('Device memory', 'node/device/errno-tables.ts', Object.values(MEMORY_ERRORS)),
    errnoTable('Device work', 'node/device/errno-tables.ts', Object.values(SUBMISSION_ERRORS)),
    errnoTable('Reset', 'node/device/errno-tables.ts', Object.values(RESET_ERRORS)),
    {
      title: 'Calls of hl-thunk that are not there',
      source: 'node/device/hlthunk-unsupported.ts',
      columns: ['call', 'answer', 'because'],
      rows: Object.entries(HLTHUNK_UNSUPPORTED).map(([call, { errno, reason }]) => [
        call,
        errno,
        reason,
      ]),
    },
    {
      title: 'Work completions',
      source: 'node/verbs/wc.ts, node/fabric/error-map.ts',
      columns: ['status', 'number', 'sentence', 'in libfabric'],
      rows: Object.entries(IBV_WC_STATUS).map(([status, [number, sentence]]) => [
        status,
        String(number),
        sentence,
        inFabric(status as IbvWcStatus),
      ]),
    },
    {
      title: 'Error numbers',
      source: 'common/errno.ts, node/fabric/error-map.ts',
      columns: ['errno', 'number', 'sentence', 'in libfabric'],
      rows: Object.entries(ERRNO).map(([errno, [number, sentence]]) => [
        errno,
        String(number),
        sentence,
        FI_ERRNO_OF_ERRNO[errno as Errno],
      ]),
    },
    {
      title: 'libfabric',
      source: 'node/fabric/fabric.ts',
      columns: ['code', 'number', 'sentence'],
      rows: Object.entries(FI_ERRNO).map(([code, [number, sentence]]) => [
        code,
        String(number),
        sentence,
      ]),
    },
    {
      title: 'Calls of libfabric that are not there',
      source: 'node/fabric/left-out.ts',
      columns: ['call', 'answer', 'what is left out'],
      rows: Object.entries(LEFT_OUT).map(([call, [code, what]]) => [call, code, what]),
    },
  ];
}

export function renderErrorTable({ title, source, columns, rows }: ErrorTable): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const lines = [line(columns), `|${'---|'.repeat(columns.length)}`, ...rows.map(line)];
  return `### ${title}\n\nThe data: \`${source.replaceAll(', ', '`, `')}\`.\n\n${lines.join('\n')}\n`;
}

function errnoTable(title: string, source: string, rows: readonly ErrnoRow[]): ErrorTable {
  return {
    title,
    source,
    columns: ['call', 'condition', 'errno'],
    rows: rows.map(({ call, condition, errno, never }) => [
      call,
      never === undefined ? condition : `${condition} (never here: ${never})`,
      errno,
    ]),
  };
}

function inFabric(status: IbvWcStatus): string {
  return status === 'IBV_WC_SUCCESS' ? '' : FI_ERRNO_OF_STATUS[status];
}
