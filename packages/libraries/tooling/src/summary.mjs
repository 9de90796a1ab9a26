/** The test run in one plain line, from vitest's JSON report. */

/**
 * @param {any} report what vitest's `json` reporter wrote
 * @returns {{ passed: number, failed: number, skipped: number }} a file that failed to load counts as one failure
 */
export function countTests(report) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of report.testResults) {
    let failed = 0;
    for (const { status } of file.assertionResults) {
      if (status === 'passed') counts.passed++;
      else if (status === 'failed') failed++;
      else counts.skipped++;
    }
    counts.failed += failed === 0 && file.status === 'failed' ? 1 : failed;
  }
  return counts;
}

/** `12 passed, 0 failed`, and what was skipped when something was. */
export function summaryLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
