/** Mutants of libfabric, and of the collectives on top of it. */
import type { Mutant } from './mutant.ts';

const COMMUNICATORS = 'test/simulation/communicator-life.test.ts';
const FLUSH = 'test/simulation/flush.test.ts';
const RENDEZVOUS = 'test/conformance/fabric-rendezvous.test.ts';

export const FABRIC_MUTANTS: readonly Mutant[] = [
  {
    id: 'R12c',
    fault: 'An operation that ends with its region takes those on other regions with it',
    file: 'node/fabric/send-ledger.ts',
    edits: [
      {
        find: "return isOfOneRequest(cause) && (this.#isRestUnexecuted || repeat !== 'never');",
        replace: 'return cause === undefined;',
      },
    ],
    tests: ['test/conformance/fabric-mr-abort.test.ts'],
    only: 'memory.* two regions over one buffer',
  },
  {
    id: 'R15a',
    fault: 'A read of a message whose sender is known to be lost never ends',
    file: 'node/fabric/connection.ts',
    edits: [
      { find: 'if (error !== undefined) next.ended(', replace: 'if (error === null) next.ended(' },
    ],
    tests: [RENDEZVOUS],
  },
  {
    id: 'R15b',
    fault: 'A receive whose message cannot be read any more never ends',
    file: 'node/fabric/receiver.ts',
    edits: [
      {
        find: '      finish(outcomeOf(status));',
        replace: "      if (status === 'IBV_WC_SUCCESS') finish(undefined);",
      },
    ],
    tests: [RENDEZVOUS],
  },
  {
    id: 'R15c',
    fault: 'A message that waits for its receiver never ends when that is lost',
    file: 'node/fabric/connection.ts',
    edits: [{ find: 'this.#messages.fail(outcome);', replace: '' }],
    tests: [RENDEZVOUS],
  },
  {
    id: 'R16a',
    fault: 'Data that is turned away with FI_EAGAIN counts as sent',
    file: 'node/hccl/data-posting.ts',
    edits: [{ find: 'this.#turnedAway++;', replace: "this.#turnedAway++; return 'posted';" }],
    tests: [COMMUNICATORS],
    only: 'a connection that takes no more',
  },
  {
    id: 'R16b',
    fault: 'A control message that is turned away with FI_EAGAIN is dropped',
    file: 'node/hccl/control-channel.ts',
    edits: [
      {
        find: 'this.#turnedAway++;\n        return;',
        replace: 'this.#turnedAway++; queue.shift(); return;',
      },
    ],
    tests: [COMMUNICATORS],
    only: 'a connection that takes no more',
  },
  {
    id: 'R16c',
    fault: 'What was turned away is not tried again when the endpoint has room',
    file: 'node/hccl/exchange.ts',
    edits: [
      {
        find: "if (this.#current?.state === 'running') this.#current.engine.resume();",
        replace: '',
      },
    ],
    tests: [COMMUNICATORS],
    only: 'a connection that takes no more',
  },
  {
    id: 'R16d',
    fault: 'The read of a long message is dropped when it gets FI_EAGAIN',
    file: 'node/fabric/connection.ts',
    edits: [
      {
        find: "if (error === 'FI_EAGAIN') break;",
        replace:
          "if (error === 'FI_EAGAIN') this.#fetches.shift();\n if (error === 'FI_EAGAIN') continue;",
      },
    ],
    tests: [RENDEZVOUS],
  },
  {
    id: 'R17b',
    fault: 'Libfabric takes descriptor 0 for none',
    file: 'node/fabric/mr.ts',
    edits: [
      {
        find: "if (dmabuf === undefined) return 'FI_EINVAL';",
        replace: "if (!dmabuf?.fd) return 'FI_EINVAL';",
      },
    ],
    tests: ['test/node/fabric/objects.test.ts'],
    only: 'fi_mr_regattr',
  },
  {
    id: 'R17c',
    fault: 'HCCL takes descriptor 0 for a failed export',
    file: 'node/hccl/device-session.ts',
    edits: [
      {
        find: 'const mr = await fi_mr_regattr(',
        replace: `if (!(dmabufFd > 0)) {
          throw hcclError({ result: 'hcclInternalError', message: 'Expected a descriptor' });
        }
        const mr = await fi_mr_regattr(`,
      },
    ],
    tests: ['test/simulation/descriptor-zero.test.ts'],
  },
  {
    id: 'R18a',
    fault: 'What a completion has announced is used without a flush',
    file: 'node/hccl/exchange.ts',
    edits: [
      {
        find: 'if (this.#flush === undefined) use();',
        replace: 'if (this.#flush !== null) use();',
      },
    ],
    tests: [FLUSH],
  },
  {
    id: 'R18b',
    fault: 'A flush is over before its read has come back',
    file: 'node/hccl/flush.ts',
    edits: [
      { find: 'this.#waiting.push(use);', replace: 'this.#waiting.push(() => undefined); use();' },
    ],
    tests: [FLUSH],
  },
  {
    id: 'R18c',
    fault: 'A read that is under way serves completions that come after it began',
    file: 'node/hccl/flush.ts',
    edits: [
      {
        find: 'const covered = this.#covered;',
        replace: 'const covered = [...this.#covered, ...this.#waiting.splice(0)];',
      },
    ],
    tests: [FLUSH],
  },
];
