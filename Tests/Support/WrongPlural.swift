/// `1 segments` and its like in a text; nil when there is none.
func wrongPlural(in text: String) -> Substring? {
    text.firstMatch(
        of:
            /(?:^|[ (])1 (?:[a-z]+ )?(?:problems|segments|files|frames|packs|pages|records|objects|backups|timelines|checks|rows|duplicates|messages|failures|days|transactions|tables|incarnations)\b/
            .anchorsMatchLineEndings()
    )?.output
}
