"""The words of the sandbox's pages, in English and Russian.

Titles are the originals' in English ("Sign in", "Authorize"). Placeholders are filled with escaped values.
"""

from collections.abc import Mapping
from types import MappingProxyType

from ..protocol.messages import Request
from .forms import accepted

__all__ = ["TEXTS", "language_of"]

_EN = {
    "sandbox": "EXBO sandbox",
    "sandbox_note": "Everything here is made up: no real account, no real token, nothing leaves this machine.",
    "login_title": "Sign in",
    "login_lead": "There are no passwords in the sandbox. Choose who you want to be.",
    "login_as": "Sign in as {name}",
    "login_other": "Somebody else",
    "login_field": "Login",
    "login_button": "Sign in",
    "login_unknown": "There is no user with the login “{login}” yet. Make that user now, or beforehand with "
    "--add-user (in code: fake.add_user).",
    "login_odd": "There is no user with the login “{login}”, and none can be made here: a login has 1 to 64 visible "
    "characters.",
    "login_make": "Make this user and sign in",
    "consent_title": "Authorize",
    "consent_lead": "{app} wants to use your account {user}.",
    "consent_sees": "It will see your id, login, display name and where your account comes from.",
    "consent_scopes": "It asks for these scopes:",
    "consent_return": "Either way you are sent back to {target}.",
    "consent_yes": "Authorize",
    "consent_no": "Cancel",
    "consent_switch": "Not {user}? Sign in as somebody else",
    "live_connect": "How to connect",
    "live_api_url": "Game API",
    "live_client": "client id {app}",
    "live_show": "Show the secret",
    "live_copy": "Copy",
    "live_copied": "Copied",
    "live_file": "Save as sandbox.env",
    "live_then": "Then, in the same terminal:",
    "live_redirects": "Redirect URIs",
    "live_users": "Users",
    "live_server": "Server",
    "live_ends_all": "a new token ends the earlier access and refresh tokens of its owner",
    "live_ends_access": "a new token ends the earlier access tokens of its owner",
    "live_ends_none": "a new token ends nothing",
    "live_timeline": "What happened to the tokens",
    "live_chart": "Tokens by owner, from the first event shown to the last; the list below says the same in words.",
    "live_events": "Events, newest first",
    "live_nothing": "Nothing yet. Ask for a token, and watch.",
    "live_paused": "The sandbox does not answer; this picture is old.",
    "legend_live": "works",
    "legend_superseded": "replaced by a newer one",
    "legend_refreshed": "used up by a refresh",
    "legend_revoked": "revoked",
    "legend_expired": "expired",
    "legend_refused": "was tried and refused",
    "owner_app": "application {app}",
    "owner_user": "{user} in application {app}",
    "owner_unknown": "somebody unknown",
    "of_app": "application {app}",
    "of_user": "{user} in application {app}",
    "of_unknown": "somebody unknown",
    "quoted": "“{words}”",
    "event_issued": "Token #{token} was issued to {owner} ({grant}).",
    "event_superseded": "Token #{token} of {owner} died: #{by} took its place.",
    "event_revoked": "Token #{token} of {owner} was revoked.",
    "event_refreshed": "Token #{token} of {owner} is used up: it was refreshed into #{by}.",
    "event_refused": "Token #{token} of {owner} was refused: {reason}.",
    "event_declined": "A request ({grant}) by {owner} was refused with {status}: {reason}.",
    "event_unknown": "A token that was never issued here was refused.",
    "event_earlier": "A token of {owner} from an earlier run of this sandbox was refused: this run does not know it. "
    "exbo-oauth refresh gets a new one; with --state FILE a sandbox remembers.",
    "event_earlier_user": "A token of {owner} from an earlier run of this sandbox was refused: this run does not know "
    "it. The user has to sign in again: exbo-oauth login --user ACCOUNT; with --state FILE a sandbox remembers.",
    "event_masked": "What was sent as a token is the mask *** of one, as in an f-string: use token.authorization, or "
    "token.access_token.",
    "event_made_up": "A token that exbo-oauth doctor made up was refused, as it should be.",
    "event_unregistered_authorize": "The redirect URI {uri} is not registered for {owner}{difference}. EXBO itself "
    "tells nobody: the browser just does not come back. "
    "--redirect-uri URI registers one more (in code: fake.add_redirect_uri). Registered are:",
    "event_unregistered_token": "The redirect URI {uri} is not registered for {owner}{difference}. What the program "
    "reads is only that its authentication failed. "
    "--redirect-uri URI registers one more (in code: fake.add_redirect_uri). Registered are:",
    "event_unnamed": "The request named no redirect URI, and {owner} has several. EXBO itself tells nobody: the "
    "browser just does not come back. "
    "--redirect-uri URI registers one more (in code: fake.add_redirect_uri). Registered are:",
    "differs_scheme": "; only what stands before :// differs from {nearest}",
    "differs_user": "; only the user name in it differs from {nearest}",
    "differs_host": "; only the host differs from {nearest}",
    "differs_port": "; only the port differs from {nearest}",
    "differs_path": "; only the path differs from {nearest}",
    "differs_query": "; only what follows the question mark differs from {nearest}",
    "differs_fragment": "; only what follows the # differs from {nearest}",
    "differs_slash": "; only the slash at the end differs from {nearest}",
    "differs_case": "; only capital letters differ from {nearest}",
    "asker_by_hand": "by hand",
    "event_unreadable": "Something that is not a request for this server was refused: {reason}.",
    "event_lost": "The answer to a request ({grant}) was lost: {reason}.",
    "event_answered": "A request ({grant}) got the scripted answer {status}.",
    "event_joined": "{user} was added on the sign-in page.",
    "event_signed_in": "{user} signed in.",
    "event_approved": "{user} authorized application {app}.",
    "event_denied": "{user} turned application {app} down.",
    "reason_superseded": "#{by} had taken its place",
    "reason_refreshed": "it was used up by the refresh into #{by}",
    "reason_revoked": "it had been revoked",
    "reason_expired": "it had expired",
    "reason_no_user": "its user or application is gone, or it is not a user’s",
    "reason_unknown_app": "there is no application {app} here; those that there are: {apps}",
    "reason_wrong_secret": "the secret is not that of application {app}",
    "reason_code_garbled": "this code was never given out here",
    "reason_code_of_other_kind": "a refresh token was sent in place of a code",
    "reason_code_revoked": "the code was used already",
    "reason_code_expired": "the code had expired",
    "reason_code_of_other_client": "the code is another application’s",
    "reason_redirect_uri": "the redirect URI is not the one that the sign-in began with",
    "reason_verifier_wrong": "the code verifier is not that of the sign-in",
    "reason_refresh_garbled": "this refresh token was never issued here, or by an earlier run of this sandbox: sign in "
    "again; with --state FILE a sandbox remembers",
    "reason_made_up": "exbo-oauth doctor made that token up, so this is as it should be",
    "reason_refresh_of_other_client": "the refresh token is another application’s",
    "reason_refresh_expired": "the refresh token of #{token} had expired",
    "reason_refresh_superseded": "the refresh token of #{token} is dead, for #{by} took its place",
    "reason_refresh_refreshed": "the refresh token of #{token} is spent: it was refreshed into #{by}",
    "reason_refresh_revoked": "the refresh token of #{token} had been revoked",
    "reason_processed": "the server had processed it",
    "reason_unprocessed": "the server never processed it",
}
_RU = {
    "sandbox": "Песочница EXBO",
    "sandbox_note": "Здесь всё ненастоящее: ни аккаунты, ни токены. Ничего не уходит с этого компьютера.",
    "login_title": "Вход",
    "login_lead": "В песочнице нет паролей. Выберите, кем войти.",
    "login_as": "Войти как {name}",
    "login_other": "Кто-то другой",
    "login_field": "Логин",
    "login_button": "Войти",
    "login_unknown": "Пользователя с логином «{login}» пока нет. Создайте его сейчас или заранее: --add-user (в коде "
    "— fake.add_user).",
    "login_odd": "Пользователя с логином «{login}» нет, и создать его здесь нельзя: в логине от 1 до 64 видимых "
    "символов.",
    "login_make": "Создать и войти",
    "consent_title": "Разрешение",
    "consent_lead": "{app} хочет использовать ваш аккаунт {user}.",
    "consent_sees": "Приложение увидит ваш id, логин, отображаемое имя и откуда ваш аккаунт.",
    "consent_scopes": "Запрошенные права:",
    "consent_return": "В любом случае вы вернётесь на {target}.",
    "consent_yes": "Разрешить",
    "consent_no": "Отказать",
    "consent_switch": "Вы не {user}? Войти как кто-то другой",
    "live_connect": "Как подключиться",
    "live_api_url": "API игры",
    "live_client": "номер приложения {app}",
    "live_show": "Показать секрет",
    "live_copy": "Скопировать",
    "live_copied": "Скопировано",
    "live_file": "Сохранить как sandbox.env",
    "live_then": "Затем в том же терминале:",
    "live_redirects": "Адреса возврата",
    "live_users": "Пользователи",
    "live_server": "Сервер",
    "live_ends_all": "новый токен гасит прежние токены того же владельца, и refresh-токены тоже",
    "live_ends_access": "новый токен гасит прежние токены доступа того же владельца, но не refresh-токены",
    "live_ends_none": "новый токен ничего не гасит",
    "live_timeline": "Что стало с токенами",
    "live_chart": "Токены по владельцам, от первого показанного события до последнего; то же словами — в списке ниже.",
    "live_events": "События, сначала новые",
    "live_nothing": "Пока ничего. Запросите токен и смотрите.",
    "live_paused": "Песочница не отвечает, картина устарела.",
    "legend_live": "действует",
    "legend_superseded": "погас: его заменил новый",
    "legend_refreshed": "погас: его обновили",
    "legend_revoked": "отозван",
    "legend_expired": "истёк",
    "legend_refused": "предъявлен и отвергнут",
    "owner_app": "приложение {app}",
    "owner_user": "{user} в приложении {app}",
    "owner_unknown": "неизвестно кто",
    "of_app": "приложения {app}",
    "of_user": "пользователя {user} в приложении {app}",
    "of_unknown": "неизвестно кого",
    "quoted": "«{words}»",
    "event_issued": "Выдан токен #{token} {owner} ({grant}).",
    "event_superseded": "Токен #{token} {owner} погас: его заменил #{by}.",
    "event_revoked": "Токен #{token} {owner} отозван.",
    "event_refreshed": "Токен #{token} {owner} погас: его обновили, теперь это #{by}.",
    "event_refused": "Токен #{token} {owner} отвергнут: {reason}.",
    "event_declined": "Отказ {status} на запрос {owner} ({grant}): {reason}.",
    "event_unknown": "Отвергнут токен, который здесь никогда не выдавали.",
    "event_earlier": "Отвергнут токен {owner} от прежнего запуска песочницы: этот запуск его не знает. Новый "
    "даст exbo-oauth refresh, а с --state ФАЙЛ песочница всё помнит.",
    "event_earlier_user": "Отвергнут токен {owner} от прежнего запуска песочницы: этот запуск его не знает. Придётся "
    "войти заново: exbo-oauth login --user АККАУНТ; а с --state ФАЙЛ песочница всё помнит.",
    "event_masked": "Вместо токена отправлена его маска ***, как из f-строки: берите token.authorization или "
    "token.access_token.",
    "event_made_up": "Отвергнут токен, который выдумал exbo-oauth doctor: так и должно быть.",
    "event_unregistered_authorize": "Адрес возврата {uri} не зарегистрирован у {owner}{difference}. Сам EXBO об этом "
    "молчит: браузер просто не возвращается. "
    "Ещё один добавит --redirect-uri URI (в коде — fake.add_redirect_uri). Зарегистрированы:",
    "event_unregistered_token": "Адрес возврата {uri} не зарегистрирован у {owner}{difference}. Программа узнаёт лишь, "
    "что не прошла аутентификацию. "
    "Ещё один добавит --redirect-uri URI (в коде — fake.add_redirect_uri). Зарегистрированы:",
    "event_unnamed": "Запрос не назвал адреса возврата, а у {owner} их несколько. Сам EXBO об этом молчит: браузер "
    "просто не возвращается. "
    "Ещё один добавит --redirect-uri URI (в коде — fake.add_redirect_uri). Зарегистрированы:",
    "differs_scheme": "; от {nearest} отличается только тем, что стоит перед ://",
    "differs_user": "; от {nearest} отличается только именем пользователя",
    "differs_host": "; от {nearest} отличается только хостом",
    "differs_port": "; от {nearest} отличается только портом",
    "differs_path": "; от {nearest} отличается только путём",
    "differs_query": "; от {nearest} отличается только тем, что стоит после вопросительного знака",
    "differs_fragment": "; от {nearest} отличается только тем, что стоит после #",
    "differs_slash": "; от {nearest} отличается только косой чертой в конце",
    "differs_case": "; от {nearest} отличается только регистром букв",
    "asker_by_hand": "вручную",
    "event_unreadable": "Отвергнуто то, что не является запросом к этому серверу: {reason}.",
    "event_lost": "Ответ на запрос ({grant}) потерян: {reason}.",
    "event_answered": "На запрос ({grant}) дан заготовленный ответ {status}.",
    "event_joined": "На странице входа добавлен пользователь {user}.",
    "event_signed_in": "Вход выполнен: {user}.",
    "event_approved": "Доступ разрешён: {user}, приложение {app}.",
    "event_denied": "В доступе отказано: {user}, приложение {app}.",
    "reason_superseded": "его уже заменил #{by}",
    "reason_refreshed": "его уже обновили, теперь это #{by}",
    "reason_revoked": "он был отозван",
    "reason_expired": "он истёк",
    "reason_no_user": "его пользователя или приложения больше нет, либо он не пользовательский",
    "reason_unknown_app": "приложения {app} здесь нет, есть: {apps}",
    "reason_wrong_secret": "секрет не от приложения {app}",
    "reason_code_garbled": "такого кода здесь не выдавали",
    "reason_code_of_other_kind": "вместо кода отправлен refresh-токен",
    "reason_code_revoked": "код уже использован",
    "reason_code_expired": "код истёк",
    "reason_code_of_other_client": "код от другого приложения",
    "reason_redirect_uri": "адрес возврата не тот, с которым начат вход",
    "reason_verifier_wrong": "code_verifier не от этого входа",
    "reason_refresh_garbled": "такого refresh-токена здесь не выдавали или выдал прежний запуск песочницы: войдите "
    "снова; с --state ФАЙЛ песочница всё помнит",
    "reason_made_up": "этот токен выдумал exbo-oauth doctor, так и должно быть",
    "reason_refresh_of_other_client": "refresh-токен от другого приложения",
    "reason_refresh_expired": "refresh-токен от #{token} истёк",
    "reason_refresh_superseded": "refresh-токен от #{token} погас: его заменил #{by}",
    "reason_refresh_refreshed": "refresh-токен от #{token} уже использован: вместо него #{by}",
    "reason_refresh_revoked": "refresh-токен от #{token} был отозван",
    "reason_processed": "сервер его обработал",
    "reason_unprocessed": "сервер его не обрабатывал",
}

TEXTS: Mapping[str, Mapping[str, str]] = MappingProxyType({"en": MappingProxyType(_EN), "ru": MappingProxyType(_RU)})


def language_of(request: Request) -> str:
    """The first language we have among those that the browser accepts, English if it is none (RFC 9110, 12.5.4)."""
    for entry in accepted(request.header("accept-language")):
        language = entry.partition("-")[0].lower()
        if language in TEXTS:
            return language
    return "en"
