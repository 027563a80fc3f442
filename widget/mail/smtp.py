"""Mail over SMTP, on Flask-Mail's connection with what it lacks: a timeout, checked certificates, a last question."""

import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import flask_mail

from widget.mail.mime import MimeMail, domain_of, one_line
from widget.mail.outgoing import NotWanted, OutgoingMail, SendFailed
from widget.settings import Settings

MAX_ANSWER_CHARS = 200
_ADDRESS = re.compile(r"[^\s<>]+@[^\s<>]+")
# 5xx answers to a recipient that speak of our login, not of the recipient (RFC 4954).
_LOGIN_CODES = {530, 534, 535, 538}


class SmtpOutbox:
    """Sends through the server of the settings, over one connection as long as it holds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @contextmanager
    def open(self) -> Iterator["SmtpPost"]:
        post = SmtpPost(self._settings)
        try:
            yield post
        finally:
            post.close()


class SmtpPost:
    def __init__(self, settings: Settings) -> None:
        self._sender = settings.mail_from
        self._connection = Connection(settings)
        self._trouble: SendFailed | None = None

    def send(self, mail: OutgoingMail, still_wanted: Callable[[], bool]) -> str:
        form = MimeMail(mail, self._sender)
        self._connect()
        try:
            return self._connection.deliver(form, still_wanted)
        except (SendFailed, NotWanted):
            raise
        except OSError as error:
            self._connection.drop()
            raise SendFailed(_trouble_detail(error)) from error
        except BaseException:
            # `still_wanted` broke in the middle of a conversation, and the next mail must not go on with that.
            self._connection.drop()
            raise

    def close(self) -> None:
        self._connection.close()

    def _connect(self) -> None:
        if self._trouble:
            # A server that cannot be reached would cost every further mail of the round its whole timeout.
            raise SendFailed(self._trouble.detail)
        if self._connection.is_alive():
            return
        try:
            self._connection.connect()
        except OSError as error:
            self._trouble = SendFailed(_trouble_detail(error))
            raise self._trouble from error


class Connection(flask_mail.Connection):
    """One server, many mails. After trouble it is dropped, and `connect` begins anew."""

    def __init__(self, settings: Settings) -> None:
        mail = flask_mail.Mail()
        password = settings.smtp_password
        mail.state = mail.init_mail(
            {
                "MAIL_SERVER": settings.smtp_host,
                "MAIL_PORT": settings.smtp_port,
                "MAIL_USERNAME": settings.smtp_username,
                "MAIL_PASSWORD": password.get_secret_value() if password else None,
                "MAIL_USE_SSL": settings.smtp_security == "tls",
                "MAIL_USE_TLS": settings.smtp_security == "starttls",
            }
        )
        super().__init__(mail)
        self._settings = settings
        self._is_fresh = False

    def connect(self) -> None:
        self.host = self.configure_host()
        self._is_fresh = True

    def configure_host(self) -> smtplib.SMTP | smtplib.SMTP_SSL:
        """A greeted, encrypted and signed-in connection. Raises OSError, which every SMTPException is."""
        state, timeout = self.mail, self._settings.smtp_timeout_seconds
        # A name of our own, because smtplib would look the machine's up in the DNS.
        name = domain_of(self._settings.mail_from)
        host: smtplib.SMTP
        if state.use_ssl:
            host = smtplib.SMTP_SSL(state.server, state.port, name, timeout=timeout, context=self._trust())
        else:
            host = smtplib.SMTP(state.server, state.port, name, timeout=timeout)
        try:
            if state.use_tls:
                host.starttls(context=self._trust())
            host.ehlo_or_helo_if_needed()
            if state.username and state.password:
                host.login(state.username, state.password)
        except BaseException:
            host.close()
            raise
        return host

    def is_alive(self) -> bool:
        """Whether the next mail can go over this connection; servers close idle ones without a word."""
        if self.host is None:
            return False
        if self._is_fresh:
            return True
        try:
            code, _ = self.host.noop()
        except OSError:
            code = 0
        if code != 250:
            self.drop()
        return code == 250

    def deliver(self, mail: MimeMail, still_wanted: Callable[[], bool]) -> str:
        """One SMTP transaction. Raises SendFailed, NotWanted or OSError."""
        host = self.host
        if host is None:
            raise smtplib.SMTPServerDisconnected("not connected")
        self._is_fresh = False
        content = mail.as_bytes()
        options = self._options(host, mail)
        self._expect(host, host.mail(mail.from_address.addr_spec, options), "the sender", is_ours=True)
        self._expect(host, host.rcpt(mail.to_address.addr_spec), "the recipient")
        if not still_wanted():
            self._reset(host)
            raise NotWanted
        try:
            answer = host.data(content)
        except smtplib.SMTPDataError as error:
            answer = error.smtp_code, _as_bytes(error.smtp_error)
        self._expect(host, answer, "the message")
        self.num_emails += 1
        return _shown(answer)

    def drop(self) -> None:
        """Leave without a word, because the server no longer follows."""
        host, self.host = self.host, None
        if host is not None:
            host.close()

    def close(self) -> None:
        if self.host is not None:
            with suppress(OSError):
                self.host.quit()
        self.drop()

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.smtp_ca_file)

    def _options(self, host: smtplib.SMTP, mail: MimeMail) -> list[str]:
        if not mail.needs_smtputf8:
            return []
        if not host.has_extn("smtputf8"):
            raise SendFailed("The mail server takes no addresses with letters outside ASCII.", is_permanent=True)
        host.command_encoding = "utf-8"
        return ["SMTPUTF8", "BODY=8BITMIME"]

    def _expect(self, host: smtplib.SMTP, answer: tuple[int, bytes], part: str, *, is_ours: bool = False) -> None:
        code = answer[0]
        if 200 <= code < 300:
            return
        if code == 421:
            self.drop()
        else:
            self._reset(host)
        is_permanent = 500 <= code < 600 and code not in _LOGIN_CODES and not is_ours
        raise SendFailed(f"The mail server did not take {part}: {_shown(answer)}", is_permanent=is_permanent)

    def _reset(self, host: smtplib.SMTP) -> None:
        """End the transaction without a mail. What was decided stands, also when the server is gone by now."""
        try:
            host.rset()
        except OSError:
            self.drop()


def _shown(answer: tuple[int, bytes]) -> str:
    """The server's answer as one short line, without the addresses that servers like to repeat."""
    text = one_line(answer[1].decode("utf-8", "replace"))
    return f"{answer[0]} {_ADDRESS.sub('[address]', text)}"[:MAX_ANSWER_CHARS].strip()


def _as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _trouble_detail(error: OSError) -> str:
    """What went wrong and where to look, in one line for the desk and the log."""
    # smtplib hides a time-out behind "connection closed", which would send people looking in the wrong place.
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return "The mail server did not answer in time."
    match error:
        case smtplib.SMTPNotSupportedError():
            return "The mail server does not offer what UNJAM_SMTP_SECURITY or the login needs."
        case smtplib.SMTPAuthenticationError():
            return f"The mail server refused our login ({error.smtp_code}). Check UNJAM_SMTP_USERNAME and _PASSWORD."
        case smtplib.SMTPResponseException():
            return f"The mail server is not ready: {_shown((error.smtp_code, _as_bytes(error.smtp_error)))}"
        case smtplib.SMTPException():
            return "The mail server closed the connection."
        case ssl.SSLCertVerificationError():
            return f"The mail server's certificate is not trusted: {error.verify_message}. Check UNJAM_SMTP_CA_FILE."
        case ssl.SSLError():
            return "The mail server and we could not agree on encryption. Check UNJAM_SMTP_SECURITY."
    return f"The mail server cannot be reached: {error.strerror or type(error).__name__}."
