#pragma once

/// Makes the commands that PostgreSQL runs report a failure by their exit status even when the process can't continue:
/// a failed allocation aborts it (Swift's runtime has no other answer), a stack that is too small is a segmentation
/// fault. `archive-get` ends with 200, `archive-push` and `recovery-end` with 1. Other commands end with 1 where memory
/// is short; any other fault in them ends them as it ends any program, so that it is found.
void end_with_status(int count, char **arguments);
