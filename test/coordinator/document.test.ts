/** `docs/control-protocol.md` and the code say the same, in both directions. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isErrorCode } from '../../common/errors.ts';
import * as barrier from '../../coordinator/barrier.ts';
import * as cluster from '../../coordinator/cluster.ts';
import * as config from '../../coordinator/config.ts';
import * as coordinator from '../../coordinator/coordinator.ts';
import * as inquiries from '../../coordinator/device-inquiries.ts';
import * as evictions from '../../coordinator/evictions.ts';
import * as detector from '../../coordinator/failure-detector.ts';
import * as client from '../../coordinator/hlcp/client.ts';
import * as deviceMessages from '../../coordinator/hlcp/device-messages.ts';
import * as heartbeat from '../../coordinator/hlcp/heartbeat.ts';
import * as messages from '../../coordinator/hlcp/messages.ts';
import * as structure from '../../coordinator/hlcp/structure.ts';
import * as traceMessages from '../../coordinator/hlcp/trace-messages.ts';
import * as webSocket from '../../coordinator/hlcp/websocket-connection.ts';
import * as job from '../../coordinator/job.ts';
import * as membership from '../../coordinator/membership.ts';
import * as rendezvous from '../../coordinator/rendezvous.ts';
import * as server from '../../coordinator/server.ts';
import * as store from '../../coordinator/store.ts';
import * as traces from '../../coordinator/traces.ts';

const documentText = read('../../docs/control-protocol.md');
const constants: Readonly<Record<string, unknown>> = {
  ...barrier,
  ...cluster,
  ...config,
  ...coordinator,
  ...inquiries,
  ...evictions,
  ...detector,
  ...client,
  ...deviceMessages,
  ...heartbeat,
  ...messages,
  ...structure,
  ...webSocket,
  ...job,
  ...membership,
  ...rendezvous,
  ...server,
  ...store,
  ...traceMessages,
  ...traces,
};

function read(path: string): string {
  return readFileSync(new URL(path, import.meta.url), 'utf8');
}

/** The cells of the table under a heading; the first cell without its backquotes. */
function table(heading: string): string[][] {
  const section = documentText.split(`# ${heading}\n`)[1]?.split(/\n#/)[0] ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    );
}

const directions = [
  ['Host to coordinator', messages.hostToCoordinator],
  ['Coordinator to host', messages.coordinatorToHost],
  ['Client to coordinator', messages.clientToCoordinator],
  ['Coordinator to client', messages.coordinatorToClient],
] as const;

describe('docs/control-protocol.md', () => {
  it.each(directions)('%s: lists every message, in order, and no other', (heading, union) => {
    const rows = table(heading);
    const types = union.options.map((option) => option.shape.type.value);
    expect(rows.map(([type]) => type)).toEqual(types);
    for (const [type, meaning, when] of rows) {
      expect(meaning, `meaning of ${type}`).not.toBe('');
      expect(when, `when of ${type}`).not.toBe('');
    }
  });

  it('gives every timeout and bound its value', () => {
    for (const [name = '', value] of table('Timeouts and bounds')) {
      expect(constants[name], name).toBe(Number(value));
    }
  });

  it('lists every timeout and bound that the code exports', () => {
    const listed = table('Timeouts and bounds').map(([name]) => name);
    const exported = Object.keys(constants).filter((name) =>
      /_(MS|MAX|MIN|CONNECTIONS)$|_MS_(MAX|MIN)$/.test(name),
    );
    const internal = ['LOOK_GAP_MS_MAX'];
    expect(exported.filter((name) => !internal.includes(name)).sort()).toEqual(listed.sort());
  });

  it('imports every file of the coordinator that exports such a constant', () => {
    for (const folder of ['../../coordinator/', '../../coordinator/hlcp/']) {
      const files = readdirSync(new URL(folder, import.meta.url));
      for (const file of files.filter((name) => name.endsWith('.ts'))) {
        const names = read(`${folder}${file}`).matchAll(/export const ([A-Z_]+) = [\d_]+;/g);
        for (const [, name = ''] of names)
          expect(constants, `${name} of ${file}`).toHaveProperty(name);
      }
    }
  });

  it('names only error codes that exist, and the current version', () => {
    const rows = table('Refusals');
    expect(rows.length).toBeGreaterThan(0);
    for (const [code] of rows) expect(isErrorCode(code), code).toBe(true);
    expect(documentText).toContain(`\`HLCP_VERSION\`, ${messages.HLCP_VERSION} |`);
  });
});
