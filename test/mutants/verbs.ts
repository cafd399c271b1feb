/** Mutants of verbs: regions, keys, atomics. */
import type { Mutant } from './mutant.ts';

const ATOMICS = 'test/conformance/verbs-atomics.test.ts';
const LIFETIME = 'test/conformance/verbs-lifetime.test.ts';
const REGION_MEMORY = 'node/verbs/region-memory.ts';
const REGISTRATION = 'test/conformance/verbs-registration.test.ts';

export const VERBS_MUTANTS: readonly Mutant[] = [
  {
    id: 'R12a',
    fault: 'A region lets its memory go while a link still reads from it',
    file: REGION_MEMORY,
    edits: [{ find: 'if (!this.#nic.isQuiet) await this.#nic.quiesce();', replace: '' }],
    tests: [LIFETIME],
    only: 'memory.* (R12|deregistration)',
  },
  {
    id: 'R12b',
    fault: 'The end of one region ends the others over the same buffer',
    file: REGION_MEMORY,
    edits: [
      {
        find: 'await dma_buf_teardown(this.#attachment);',
        replace: `for (const one of [...this.#attachment.dmaBuf.attachments]) {
          await dma_buf_teardown(one);
        }`,
      },
    ],
    tests: ['test/node/verbs/rdma.test.ts'],
    only: 'leaves another over the same buffer intact',
  },
  {
    id: 'R12d',
    fault: 'A region answers to its key until its memory has been let go',
    file: 'node/verbs/mr.ts',
    edits: [
      { find: 'if (this.#pd !== pd || this.#deregistered)', replace: 'if (this.#pd !== pd)' },
      { find: 'this.#pd.context.nic.removeRegion(this.#key);', replace: '' },
      {
        find: 'return this.#memory.release();',
        replace: `return this.#memory.release().then(() => {
          this.#pd.context.nic.removeRegion(this.#key);
        });`,
      },
    ],
    tests: [LIFETIME],
    only: 'memory.* deregistration',
  },
  {
    id: 'R13',
    fault: 'A key is given again once its region is gone',
    file: 'node/verbs/nic.ts',
    edits: [
      {
        find: 'this.#lastKey = (this.#lastKey + 1) >>> 0;',
        replace: `this.#lastKey = fnv1a(this.transport.nodeId);
          while (this.#regions.has(this.#lastKey)) this.#lastKey = (this.#lastKey + 1) >>> 0;`,
      },
    ],
    tests: [LIFETIME],
    only: 'memory.* R13',
  },
  {
    id: 'R14a',
    fault: 'An atomic that comes again is executed again',
    file: 'node/verbs/qp-responder.ts',
    edits: [
      {
        find: 'if (reply !== undefined) this.#responses.addAtomic(header.psn, reply);',
        replace: 'if (reply !== undefined) this.#execute(header);',
      },
    ],
    tests: [ATOMICS],
    only: 'memory.* R14',
  },
  {
    id: 'R14b',
    fault: 'Answers to atomics are not kept, so that one that is lost never comes',
    file: 'node/verbs/qp-responder.ts',
    edits: [{ find: 'this.#savedReplies.save(psn, reply);', replace: '' }],
    tests: [ATOMICS],
    only: 'loses and doubles frames',
  },
  {
    id: 'R17a',
    fault: 'Descriptor 0 is no dma-buf',
    file: 'node/dmabuf/export.ts',
    edits: [
      {
        find: 'const file = process.fds.lookup(fd);',
        replace: "const file = fd > 0 ? process.fds.lookup(fd) : 'EBADF';",
      },
    ],
    tests: [REGISTRATION, 'test/conformance/dma-buf-files.test.ts'],
    only: '(fd|descriptor) 0',
  },
  {
    id: 'R17d',
    fault: 'The verbs device takes descriptor 0 for none',
    file: 'node/verbs/uverbs-memory.ts',
    edits: [
      {
        find: "const fd = integerField(argument, 'fd');",
        replace: "const fd = integerField(argument, 'fd') || -1;",
      },
    ],
    tests: ['test/node/verbs/uverbs-closing.test.ts'],
    only: 'descriptor 0',
  },
];
