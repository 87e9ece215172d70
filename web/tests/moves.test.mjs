// What a person reads of the plan's history.
import { test } from "node:test";
import assert from "node:assert/strict";
import { load } from "./load.mjs";

const { movesBetween } = await load("plan/moves.ts");
const plan = (...stages) => ({ stages: stages.map(([member, start, end]) => ({ member, units: { start, end } })) });

test("units that changed hands are counted by from and to", () => {
  const before = plan([0, 0, 5], [1, 5, 12], [2, 12, 20], [0, 20, 22]);
  const after = plan([0, 0, 4], [1, 4, 10], [2, 10, 21], [0, 21, 22]);
  assert.deepEqual(movesBetween(before, after), [
    { from: 0, to: 1, units: 1 },
    { from: 0, to: 2, units: 1 },
    { from: 1, to: 2, units: 2 },
  ]);
});

test("the same plan again is no move, in any order of the ring", () => {
  assert.deepEqual(movesBetween(plan([0, 0, 3], [1, 3, 6]), plan([0, 0, 3], [1, 3, 6])), []);
});
