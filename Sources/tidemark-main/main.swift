import Glibc
import Recovery

exit(0)
