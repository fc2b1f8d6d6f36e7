"""Words and patterns that stand at the top of every published list of leaked passwords, and Japan's own.

Short on purpose: it catches the first guesses. A breach corpus belongs to the operator, who gives it as a file.
"""

from __future__ import annotations

COMMON_PASSWORDS = frozenset(
    """
    password passwords passwort contrasena motdepasse passw0rd password1 pasuwado pasuwaado パスワード ぱすわーど
    passwordpassword mypassword thepassword newpassword oldpassword yourpassword changeme changeit changemenow
    letmein letmeinnow default defaultpassword secret topsecret supersecret temporary temppassword testpassword
    testtest testing tester guestguest guest admin administrator adminadmin adminpassword root rootroot toor
    superuser sysadmin system manager operator service webmaster postmaster master masterpassword welcome
    welcomeback welcometothe iloveyou iloveyousomuch loveyou lovely love loveme forever forever21 princess princessa
    sunshine moonlight football football1 baseball basketball softball hockey soccer volleyball superman batman
    spiderman ironman starwars pokemon pikachu doraemon naruto onepiece dragonball dragon monkey tigger charlie
    michael michelle jennifer jessica jordan thomas robert daniel andrew joshua matthew ashley nicole anthony
    william samantha elizabeth computer internet keyboard samsung google facebook twitter instagram linkedin
    microsoft windows macintosh android whatever trustno1 shadow killer hunter ranger buster jackson mustang
    corvette mercedes ferrari porsche yamaha toyota honda nissan suzuki kawasaki mitsubishi blackjack liverpool
    chelsea arsenal barcelona realmadrid juventus chocolate butterfly flower summer winter spring autumn january
    february march april june july august september october november december monday tuesday wednesday thursday
    friday saturday sunday birthday happybirthday correcthorsebatterystaple correcthorse opensesame abracadabra
    mysecret myname helloworld hello hellohello qwerty qwertyuiop qwerty123 qwertyqwerty qazwsx qazwsxedc qazxsw
    1qaz2wsx 1qaz2wsx3edc zaq12wsx zaq1zaq1 1q2w3e4r 1q2w3e4r5t q1w2e3r4 q1w2e3r4t5 1qazxsw2 asdfghjkl asdfasdf
    asdf1234 zxcvbnm zxcvbnmasdfghjkl qweasdzxc qweasd 123456789 1234567890 12345678 123123123 987654321 11111111
    00000000 a1b2c3d4 abc123 abcd1234 1234abcd aa123456 sakura sakurasakura sakurachan sakura123 nippon nihon japan
    tokyo osaka kyoto nagoya fukuoka yokohama hokkaido okinawa sapporo sendai hiroshima fujisan fujiyama takahashi
    watanabe tanaka suzukisuzuki yamamoto nakamura kobayashi satou sato itou ito kato yoshida yamada sasaki
    yamaguchi matsumoto inoue kimura hayashi shimizu arigato arigatou arigatougozaimasu ohayou konnichiwa sayonara
    aishiteru daisuki tomodachi himitsu anata watashi hanako tarou taro jiro ichiro takuya daisuke kenji makoto
    satoshi hiroshi ayumi misaki haruka yuki yuuki hikaru anpanman totoro ghibli nintendo playstation hellokitty
    rilakkuma ramen sushi samurai ninja hanabi matsuri 秘密 ひみつ さくら
    桜 日本 東京 ありがとう おはよう こんにちは あいしてる 大好き kiban
    kibankiban geniac accelerator startup company office proposal reviewer applicant university
    """.split()  # noqa: SIM905
)
